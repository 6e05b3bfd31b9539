import { findDeltas, type Refused } from '../delta-files/delta-folder.ts'
import { applyTableDeltas, sizeOfChanges, unchanged } from './apply-table-deltas.ts'
import type { FeatureTable, RowsByKey } from './feature-table.ts'
import { withChanges } from './layers.ts'
import { type OpenTable, openTable } from './open-table.ts'

/** Most bytes of the changed rows of a table. */
export const mostChangedBytes = 512 * 2 ** 20

/** A version of a table with the changes of its deltas. */
export interface ChangedTable extends Omit<OpenTable, 'table'> {
  table: RowsByKey
  /** The version without them. */
  base: FeatureTable
  deltas: {
    /** Deltas 1 to this one are in it. */
    applied: number
    /** Rows that they changed, and the bytes that these take. */
    rows: number
    bytes: number
    /** When the last one was written, ms since 1970. */
    createdAt: number | undefined
    /** The first that is not in it. */
    refused: Refused | undefined
  }
}

/** Opens a version of a table as it would be served now. Rejects as `openTable` does. */
export async function openChanged(folder: string): Promise<ChangedTable> {
  const opened = openTable(folder)
  try {
    return await addDeltas(opened)
  } catch (error) {
    opened.close()
    throw error
  }
}

/** Adds the deltas of a table that is open, which stays one: `close` of either closes it. */
export async function addDeltas(opened: OpenTable): Promise<ChangedTable> {
  const found = await findDeltas(opened.shared.folder)
  const request = { table: opened.shared, serving: unchanged, rebuild: true, mostBytes: mostChangedBytes }
  const { state, count, refused } = await applyTableDeltas({ ...request, files: found.files }, opened.table)
  const { changes, createdAt } = state
  return {
    ...opened,
    base: opened.table,
    table: withChanges(opened.table, changes),
    deltas: { applied: count, ...sizeOfChanges(changes), createdAt, refused: refused ?? found.refused },
  }
}
