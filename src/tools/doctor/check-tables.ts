import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { readModelKeys } from '../../app/models-folder.ts'
import { reasonOf } from '../../base/errors.ts'
import { formatBytes, grouped } from '../../base/terminal.ts'
import { addDeltas } from '../../model/serving/tables/open-changed.ts'
import { type OpenTable, openTable } from '../../model/serving/tables/open-table.ts'
import { tablesFolder, tablesIn, unfinishedPrefix, versionsIn } from '../../model/serving/tables/table-folder.ts'
import { verifyTable } from '../../model/serving/version/verify-table.ts'
import { count } from '../../schemas/check.ts'
import type { Configuration } from '../../schemas/configuration.ts'
import { manifestsIn } from '../data/entity-tables.ts'
import type { Finding } from './finding.ts'

/** Age from which on an unfinished table was left behind, ms: an import writes a file more often. */
const leftBehind = 3600 * 1000

/**
 * Checks the feature tables beside the models, every version with all its bytes, and that models have those that they
 * name. Rejects with an Error where the keys that must have signed them can't be read.
 */
export async function checkTables(configuration: Configuration): Promise<Finding[]> {
  const models = resolve(configuration.MULTIGATE_MODELS)
  const keys = await readModelKeys(configuration.MULTIGATE_MODEL_KEYS)
  const readers = await readersOf(models)
  const tables = await tablesIn(models)
  const found: Finding[] = []
  for (const table of new Set([...tables, ...readers.keys()])) {
    const name = `table ${table}`
    const folder = join(models, tablesFolder, table)
    const problems = await unfinishedIn(folder)
    const versions = await versionsIn(folder).catch((): number[] => [])
    let last = ''
    for (const version of versions.map(String))
      try {
        const opened = openTable(join(folder, version))
        try {
          last = `, the last of ${grouped(opened.table.rows)} rows, ${formatBytes(opened.table.bytes)}`
          await verifyTable(models, table, version, keys)
          await expectSound(opened)
        } finally {
          opened.close()
        }
      } catch (error) {
        problems.push(reasonOf(error))
      }
    const named = readers.get(table)?.join(', ')
    if (versions.length === 0 && named) problems.push(`${named} names it, and ${folder} holds no version of it`)
    const use = named ? `read by ${named}` : 'no model reads it'
    if (problems.length === 0) found.push({ name, detail: `${count(versions.length, 'version')}${last}; ${use}` })
    else found.push(...problems.map((problem): Finding => ({ name, detail: '', problem })))
  }
  return found
}

/** Problems of the folders in which imports were stopped. */
async function unfinishedIn(folder: string): Promise<string[]> {
  const problems: string[] = []
  for (const name of await readdir(folder).catch((): string[] => [])) {
    if (!name.startsWith(unfinishedPrefix)) continue
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found && Date.now() - found.mtimeMs > leftBehind)
      problems.push(`${path} was left behind by an import that was stopped: remove it`)
  }
  return problems
}

/** Rejects with an Error where what a table holds can't be true, or a server would refuse a delta. */
async function expectSound(opened: OpenTable): Promise<void> {
  const { folder } = opened.shared
  const problem = opened.table.problem()
  if (problem !== undefined) throw new Error(`${folder} ${problem}`)
  const { refused } = (await addDeltas(opened)).deltas
  if (refused !== undefined)
    throw new Error(`${join(folder, refused.file)} and later deltas have no effect: ${refused.reason}`)
}

/** Versions of models by the tables that they name. */
async function readersOf(models: string): Promise<Map<string, string[]>> {
  const readers = new Map<string, string[]>()
  for await (const [version, { entities = {} }] of manifestsIn(models))
    for (const table of new Set(Object.values(entities).map(({ table }) => table)))
      readers.set(table, [...(readers.get(table) ?? []), version])
  return readers
}
