import type { Graph } from '../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../src/model/graph/ir/onnx_pb.ts'
import { declare, floatShape } from '../../src/model/graph/ir/tensor-shape.ts'
import { emptyGraph } from './empty-graph.ts'

/** Ids of the tables of `perFeatureGraph`. */
export const tableSizes = { country: 5, hour: 24 } as const

const dim = 3

/**
 * A graph as exporters make of a model with an input a feature and an output a task: `country` int64 [batch], `hour`
 * int32 [batch, 1], `price` float32 [batch], `sizes` float32 [batch, 2, 2]; `click` [batch, 1], `buy` [batch].
 */
export function perFeatureGraph(): Graph {
  const graph = emptyGraph()
  const weights = (count: number, seed: number) =>
    Float32Array.from({ length: count }, (_, i) => Math.sin(seed + i * 1.7))
  const input = (name: string, dtype: number, ...dims: number[]) => {
    graph.inputs.push(declare(name, { dtype, dims: [-1, ...dims] }))
    return name
  }
  const look = (ids: string, name: keyof typeof tableSizes) => {
    const table = graph.constant(`${name}_table`, weights(tableSizes[name] * dim, name.length), [tableSizes[name], dim])
    return graph.node('Reshape', [graph.node('Gather', [table, ids]), graph.integers([-1, dim])])
  }
  const country = look(input('country', DataType.INT64), 'country')
  const hour = look(input('hour', DataType.INT32, 1), 'hour')
  const price = graph.node('Reshape', [input('price', DataType.FLOAT), graph.integers([-1, 1])])
  const sizes = graph.node('Reshape', [input('sizes', DataType.FLOAT, 2, 2), graph.integers([-1, 4])])
  const x = graph.node('Concat', [country, hour, price, sizes], { attributes: { axis: 1 } })
  const dense = (values: string, from: number, to: number, seed: number) => {
    const kernel = graph.constant(`kernel_${seed}`, weights(from * to, seed), [from, to])
    const bias = graph.constant(`bias_${seed}`, weights(to, seed + 0.5), [to])
    return graph.node('Add', [graph.node('MatMul', [values, kernel]), bias])
  }
  const hidden = graph.node('Relu', [dense(x, 2 * dim + 5, 8, 1)])
  graph.node('Sigmoid', [dense(hidden, 8, 1, 2)], { outputs: ['click'] })
  const buy = graph.node('Sigmoid', [dense(hidden, 8, 1, 3)])
  graph.node('Reshape', [buy, graph.integers([-1])], { outputs: ['buy'] })
  graph.outputs.push(declare('click', floatShape(-1, 1)), declare('buy', floatShape(-1)))
  return graph
}
