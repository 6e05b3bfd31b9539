import { closeSync, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'
import { floatsOf, isExternal } from './constants.ts'
import { externalPlace } from './external-data.ts'
import type { Graph } from './graph.ts'
import type { TensorProto } from './onnx_pb.ts'

/** Bytes that are read together. */
const chunkBytes = 4 << 20

/** Rows `offset` … `offset + ids` of a float32 table, in chunks of whole rows; `row` is the first of a chunk. */
export function* tablePieces(
  graph: Graph,
  tensor: TensorProto,
  offset: number,
  ids: number,
  dim: number,
): Iterable<{ values: Float32Array; row: number }> {
  if (!isExternal(tensor)) {
    const values = floatsOf(tensor)!
    yield { values: values.subarray(offset * dim, (offset + ids) * dim), row: offset }
    return
  }
  const { location, start } = externalPlace(tensor)
  const perPiece = Math.max(1, Math.floor(chunkBytes / (dim * 4)))
  const buffer = new Float32Array(perPiece * dim)
  const file = openSync(resolve(graph.folder, location), 'r')
  try {
    for (let row = offset; row < offset + ids; row += perPiece) {
      const count = Math.min(perPiece, offset + ids - row) * dim
      const bytes = new Uint8Array(buffer.buffer, 0, count * 4)
      for (let done = 0; done < bytes.length; ) {
        const read = readSync(file, bytes, done, bytes.length - done, start + row * dim * 4 + done)
        if (read === 0) throw new Error(`${location} ends too early`)
        done += read
      }
      yield { values: buffer.subarray(0, count), row }
    }
  } finally {
    closeSync(file)
  }
}
