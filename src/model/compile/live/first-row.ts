import { create } from '@bufbuild/protobuf'
import type { LiveColumn } from '../../contracts/live-tables.ts'
import { rowOf } from '../../contracts/live-tables.ts'
import type { Segment } from '../../graph/columns.ts'
import type { Graph } from '../../graph/graph.ts'
import { ValueInfoProtoSchema } from '../../graph/onnx_pb.ts'
import { declare } from '../../graph/tensor-shape.ts'
import { feedsOf, openSession } from '../int8/observe-ranges.ts'

/** Ids per call. */
const chunk = 2 ** 16

/**
 * The row of a table that the column at `place` of a look-up's columns is looked up in for its first id, if those of the ids after it
 * come after it, one by one; else undefined. `rows`: of the table.
 */
export async function firstRow(
  graph: Graph,
  segment: Segment,
  place: number,
  { offset, ids }: LiveColumn,
  rows: number,
): Promise<number | undefined> {
  const { input, columns, added } = segment
  if (added !== undefined) return rowOf(offset, { input, column: columns[place]!, added: added[place]! }, rows)
  const values = Int32Array.from({ length: ids }, (_, id) => offset + id)
  let first: number | undefined
  let next = 0
  for await (const row of rowsOf(graph, segment, place, values)) {
    const own = row < 0 ? row + rows : row
    first ??= own
    if (own !== first + next++) return undefined
  }
  return first
}

/** The rows that values of a column are looked up in, as ONNX Runtime computes them. */
async function* rowsOf(
  graph: Graph,
  { input, build }: Segment,
  place: number,
  values: Int32Array,
): AsyncIterable<number> {
  const shape = { dtype: graph.shapes.get(input)!.dtype, dims: [-1, 1] }
  const own = graph.copy()
  own.inputs.splice(0, Infinity, declare(input, shape))
  own.shapes.set(input, shape)
  own.nodes = []
  own.touch()
  const name = own.node('Identity', [build(own, input, [place])])
  own.outputs.splice(0, Infinity, create(ValueInfoProtoSchema, { name }))
  const session = await openSession(own.toBytes())
  try {
    const all = { rows: values.length, inputs: { [input]: values } }
    for (let start = 0; start < values.length; start += chunk) {
      const feeds = feedsOf(session, all, start, Math.min(chunk, values.length - start))
      const found = (await session.run(feeds))[name]!.data as Int32Array | BigInt64Array
      for (const row of found) yield Number(row)
    }
  } finally {
    await session.release()
  }
}
