import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../../base/files.ts'
import { tablesFolder, tablesIn, versionsIn } from '../../model/serving/tables/table-folder.ts'
import { TablesIndex } from '../../schemas/models-folder.ts'
import { checkTables, indexedBytes, indexFile, indexFiles, type Listing, parseDocument } from './index-file.ts'

/*
 * The index of the feature tables beside models.
 */

export const tablesIndexFile = `${tablesFolder}/${indexFile}`

/** Parses the index of tables, without deltas. Throws an Error that names the wrong place. */
export function parseTables(text: string): Listing {
  return { models: checkTables(parseDocument(TablesIndex, text).tables), listsTables: true }
}

/**
 * Writes the index of the tables beside models and resolves with the number of tables, versions and bytes; undefined,
 * and nothing is written, where there is neither a table nor an index. Rejects with an Error where one can't be read.
 */
export async function writeTablesIndex(
  folder: string,
): Promise<{ tables: number; versions: number; bytes: number } | undefined> {
  const names = await tablesIn(folder)
  const path = join(folder, tablesIndexFile)
  // Otherwise the index would go on to list tables that are gone.
  if (names.length === 0 && !(await stat(path).catch(() => undefined))) return undefined
  const tables: TablesIndex['tables'] = Object.create(null)
  const count = { tables: 0, versions: 0, bytes: 0 }
  for (const name of names) {
    const parent = join(folder, tablesFolder, name)
    const versions = await versionsIn(parent)
    if (versions.length === 0) continue
    const table: TablesIndex['tables'][string] = { versions: {} }
    for (const version of versions) {
      const files = await indexFiles(join(parent, String(version)))
      table.versions[version] = files
      count.versions++
      count.bytes += indexedBytes(files)
    }
    tables[name] = table
    count.tables++
  }
  const index: TablesIndex = { format: 1, tables }
  checkTables(tables)
  await replaceFile(path, `${JSON.stringify(index, undefined, 1)}\n`, 0o644)
  return count
}
