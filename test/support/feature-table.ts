import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { importTable } from '../../src/tools/features/import-table.ts'

/** Imports rows as the next version of a table, by their `id`. */
export async function importRows(models: string, name: string, rows: readonly object[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'multigate-rows-'))
  const file = join(folder, `${name}.jsonl`)
  try {
    await writeFile(file, rows.map((row) => JSON.stringify(row)).join('\n'))
    await importTable({
      ...{ file, models, name, key: 'id', columns: undefined, text: [], lists: new Map(), version: undefined },
      ...{ doubled: 'refuse', signal: new AbortController().signal, onProgress: () => undefined },
    })
  } finally {
    await rm(folder, { recursive: true })
  }
}
