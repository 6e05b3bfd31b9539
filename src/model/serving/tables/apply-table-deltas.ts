import { type Applied, type NumberedFile, takeDeltas } from '../delta-files/take-deltas.ts'
import type { FeatureTable, TableFiles } from './feature-table.ts'
import { type Changes, type Layer, layerOf } from './layers.ts'
import { mergeLayers } from './merge-layers.ts'
import { openShared, type SharedTable } from './open-table.ts'
import { checkTableDelta, decodeTableDelta } from './table-delta.ts'

/** A table's changes by its deltas. */
export interface ChangedState {
  /** Undefined: none. */
  changes: Changes | undefined
  /** When the last delta was written, ms since 1970; undefined: there is none. */
  createdAt: number | undefined
}

/** A table without deltas. */
export const unchanged: ChangedState = { changes: undefined, createdAt: undefined }

export interface ApplyTableRequest {
  table: SharedTable
  serving: ChangedState
  /** Whether the files are applied to the unchanged table, not to `serving`. */
  rebuild: boolean
  files: NumberedFile[]
  /** Most bytes of the changes. */
  mostBytes: number
}

/** Applies delta files of a table, in order, up to the first that is refused. */
export async function applyTableDeltas(
  { table, serving, rebuild, files, mostBytes }: ApplyTableRequest,
  base: FeatureTable,
): Promise<Applied<ChangedState>> {
  const { folder, description } = table
  const former = rebuild ? undefined : serving.changes
  const layers: Layer[] = former ? [layerOf(former)] : []
  let createdAt = rebuild ? undefined : serving.createdAt
  let bytes = sizeOfChanges(former).bytes
  const { count, refused } = await takeDeltas(folder, files, decodeTableDelta, (delta) => {
    checkTableDelta(delta, description, [base, ...layers.map(({ table }) => table)])
    bytes += delta.layer.table.bytes
    if (bytes > mostBytes) throw new Error(`would make the changed rows take more than ${mostBytes} bytes`)
    layers.push(delta.layer)
    createdAt = Date.parse(delta.header.created_at)
  })
  if (count === 0 && !rebuild) return { state: serving, count, refused }
  const merged = layers.length === 0 ? undefined : mergeLayers(base, description.key.name, layers)
  const number = (serving.changes?.number ?? 0) + 1
  return { state: { changes: merged && { ...merged, number }, createdAt }, count, refused }
}

/** The same with a table that is opened, for a thread of its own. */
export async function applyTableDeltasApart(request: ApplyTableRequest): Promise<Applied<ChangedState>> {
  const opened = openShared(request.table)
  try {
    return await applyTableDeltas(request, opened.table)
  } finally {
    opened.close()
  }
}

/** Changed rows, and the bytes that they take. */
export function sizeOfChanges(changes: Changes | undefined): { rows: number; bytes: number } {
  if (changes === undefined) return { rows: 0, bytes: 0 }
  const { described, files, removed } = changes
  return { rows: described.rows, bytes: sizeOfFiles(files) + removed.length }
}

const sizeOfFiles = ({ rows, index, strings, lists }: TableFiles) =>
  rows.length + index.length + strings.length + lists.length
