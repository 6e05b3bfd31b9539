import { eachRow, emptied, type Overlay } from '../../contracts/live-tables.ts'
import { type Applied, type NumberedFile, takeDeltas } from '../delta-files/take-deltas.ts'
import { type Delta, decodeDelta } from './delta-file.ts'
import { checkDelta, type Expectation } from './expectation.ts'
import { addRow, changesIn, emptyIndex, extended, sizeOf } from './overlay.ts'

export interface ApplyRequest {
  /** The version's. */
  folder: string
  expected: Expectation
  /** The overlay that is served now. */
  serving: Overlay
  /** Whether the files are applied to the unchanged tables, not to that overlay. */
  rebuild: boolean
  files: NumberedFile[]
  /** Most bytes of an overlay. */
  mostBytes: number
}

type Changed = Overlay['changed']

/** Bytes of an index per row, at least: two places. */
const indexBytes = 16

/** Applies delta files, in order, up to the first that is refused. Never rejects. */
export async function applyDeltas(request: ApplyRequest): Promise<Applied<Overlay>> {
  const { folder, expected, serving, rebuild, files, mostBytes } = request
  const from = rebuild ? emptied(serving) : serving
  const deltas: Delta[] = []
  let { bytes } = sizeOf(from)
  const { count, refused } = await takeDeltas(folder, files, decodeDelta, (delta) => {
    bytes += delta.tables.reduce((sum, { ids, rows }) => sum + rows.byteLength + ids.length * indexBytes, 0)
    if (bytes > mostBytes) throw new Error(`would make the changed rows take more than ${mostBytes} bytes`)
    checkDelta(delta, expected)
    deltas.push(delta)
  })
  const changed = { since: serving.number, tables: changesOf(serving, deltas, expected, rebuild) }
  const tables = extended(from, deltas, expected.fields)
  return { state: { number: serving.number + 1, tables, changed }, count, refused }
}

/** The rows of each table that deltas name, or that are changed in an overlay which is `replaced`. */
function changesOf(
  { tables }: Overlay,
  deltas: readonly Delta[],
  { fields }: Expectation,
  replaced: boolean,
): Changed['tables'] {
  return tables.map(({ changed: before }, table) => {
    const changes = changesIn(table, deltas, fields)
    const most = changes.reduce((sum, { ids }) => sum + ids.length, replaced ? before.count : 0)
    const changed = emptyIndex(most)
    for (const { first, ids } of changes) for (const id of ids) addRow(changed, first + id)
    if (replaced) eachRow(before, (row) => addRow(changed, row))
    return changed
  })
}
