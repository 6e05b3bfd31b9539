import { join } from 'node:path'
import { constantOf, floatsOf } from '../../src/model/graph/ir/constants.ts'
import type { Graph } from '../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../src/model/graph/ir/onnx_pb.ts'
import { declare, floatShape } from '../../src/model/graph/ir/tensor-shape.ts'
import { writeBundle } from '../../src/model/serving/bundle/write.ts'
import type { Field } from '../../src/schemas/features.ts'
import { Dice } from './compile/dice.ts'
import { emptyGraph } from './empty-graph.ts'

/** Items, and the width of their rows. */
export const items = 12
export const itemWidth = 4

/**
 * A model as people export from PyTorch: the items that a user saw and the candidate read one table, the former shifted
 * by a row for padding. With `tied` the table is the last layer's weights, too.
 */
export function sharedTableGraph(tied: boolean): Graph {
  const dice = new Dice(11)
  const graph = emptyGraph()
  graph.inputs.push(declare('ids', { dtype: DataType.INT64, dims: [-1, 4] }))
  const table = graph.constant('items', dice.floats((items + 1) * itemWidth), [items + 1, itemWidth])
  const one = graph.constant('one', BigInt64Array.of(1n), [])
  const column = (i: number) =>
    graph.node('Gather', ['ids', graph.constant('place', BigInt64Array.of(BigInt(i)), [])], { attributes: { axis: 1 } })
  const item = graph.node('Gather', [table, graph.node('Add', [column(0), one])])
  const [from, to, axis] = [1, 4, 1].map((value) => graph.integers([value])) as [string, string, string]
  const seen = graph.node('Gather', [table, graph.node('Slice', ['ids', from, to, axis])])
  const mean = graph.node('ReduceMean', [seen], { attributes: { axes: [1], keepdims: 0 } })
  const x = graph.node('Concat', [item, mean], { attributes: { axis: 1 } })
  const weights = (k: number, n: number) => graph.constant('kernel', dice.floats(k * n), [k, n])
  const hidden = graph.node('Relu', [graph.node('MatMul', [x, weights(2 * itemWidth, itemWidth)])])
  const logits = tied
    ? graph.node('MatMul', [graph.node('Gemm', [hidden, table], { attributes: { transB: 1 } }), weights(items + 1, 1)])
    : graph.node('MatMul', [hidden, weights(itemWidth, 1)])
  graph.node('Sigmoid', [logits], { outputs: ['p'] })
  graph.outputs.push(declare('p', floatShape(-1, 1)))
  return graph
}

/** Writes rows into the table: row id + 1 is the candidate's. */
export function writeItems(graph: Graph, rows: Record<number, number>): Graph {
  const tensor = graph.constants.get('items')!
  const values = floatsOf(tensor)!.slice()
  for (const [row, value] of Object.entries(rows))
    values.fill(value, Number(row) * itemWidth, (Number(row) + 1) * itemWidth)
  graph.constants.set('items', constantOf('items', values, tensor.dims.map(Number)))
  return graph
}

/**
 * A version of it: `item` and the user's `first`, `second` and `third`; `live`: those whose rows may be named by
 * deltas.
 */
export async function writeSharedTable(models: string, graph: Graph, live: readonly string[]): Promise<string> {
  const field = (name: string, side: 'context' | 'candidate', size: number): Field => ({
    ...{ name, side, size, kind: 'integer', out_of_vocabulary: 'error', missing: 'error' },
    ...(live.includes(name) && { live: true }),
  })
  const folder = join(models, 'shop', '1')
  await writeBundle(folder, {
    manifest: {
      manifest: 1,
      name: 'shop',
      version: '1',
      features: [
        field('item', 'candidate', items),
        ...['first', 'second', 'third'].map((name) => field(name, 'context', items + 1)),
      ],
      tasks: [{ name: 'ctr' }],
      derived: [],
      graph: {
        format: 'onnx',
        file: 'model.onnx',
        inputs: { sparse: 'ids', ids: 'per_field' },
        outputs: { probabilities: 'p' },
      },
      precision: 'float32',
    },
    files: { 'model.onnx': graph.toBytes() },
  })
  return folder
}
