import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isTransient, ModelError, reasonOf } from '../../../base/errors.ts'
import { fileProblem, sizeOfOrdinary } from '../../../base/files.ts'
import { eachRow, emptied, type Overlay } from '../../contracts/live-tables.ts'
import { type Delta, decodeDelta, type Refused } from './delta-file.ts'
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
  files: { sequence: number; file: string }[]
  /** Most bytes of an overlay. */
  mostBytes: number
}

export interface Applied {
  overlay: Overlay
  /** Files that are in it. */
  count: number
  /** The file after them. */
  refused: (Refused & { transient: boolean }) | undefined
}

type Changed = Overlay['changed']

/** Bytes of an index per row, at least: two places. */
const indexBytes = 16
/** Largest delta file, bytes: as much as is read in one piece. */
const largestFile = 2 ** 31 - 1

/** Applies delta files, in order, up to the first that is refused. Never rejects. */
export async function applyDeltas(request: ApplyRequest): Promise<Applied> {
  const { folder, expected, serving, rebuild, files, mostBytes } = request
  const from = rebuild ? emptied(serving) : serving
  const deltas: Delta[] = []
  let bytes = sizeOf(from).bytes
  let refused: Applied['refused']
  for (const { sequence, file } of files) {
    try {
      const delta = await readDelta(folder, file)
      if (delta.sequence !== sequence) throw new Error(`says that it is number ${delta.sequence}`)
      bytes += delta.tables.reduce((sum, { ids, rows }) => sum + rows.byteLength + ids.length * indexBytes, 0)
      if (bytes > mostBytes) throw new Error(`would make the changed rows take more than ${mostBytes} bytes`)
      checkDelta(delta, expected)
      deltas.push(delta)
    } catch (error) {
      refused = { file, reason: reasonOf(error), transient: isTransient(error) }
      break
    }
  }
  const changed = { since: serving.number, tables: changesOf(serving, deltas, expected, rebuild) }
  const tables = extended(from, deltas, expected.fields)
  return { overlay: { number: serving.number + 1, tables, changed }, count: deltas.length, refused }
}

async function readDelta(folder: string, file: string): Promise<Delta> {
  const path = join(folder, file)
  let bytes: Buffer
  try {
    const size = await sizeOfOrdinary(path)
    if (size > largestFile) throw new Error(`its ${size} bytes are more than ${largestFile}`)
    bytes = await readFile(path)
  } catch (cause) {
    throw new ModelError('INVALID_BUNDLE', fileProblem(cause), { cause })
  }
  return decodeDelta(bytes)
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
