import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ImportedTable, importTable } from '../../src/tools/features/import-table.ts'

/** Imports rows, each with its key as `id`, as a new version of a table beside models. */
export async function writeTable(
  models: string,
  name: string,
  rows: readonly object[],
  version?: string,
): Promise<ImportedTable> {
  const file = join(models, `${name}.jsonl`)
  await writeFile(file, rows.map((row) => JSON.stringify(row)).join('\n'))
  const imported = await importTable({
    ...{ file, models, name, version, key: 'id' },
    columns: undefined,
    text: [],
    lists: new Map(),
    doubled: 'refuse',
    signal: new AbortController().signal,
    onProgress: () => undefined,
  })
  await rm(file)
  return imported
}
