import { product } from '../../../base/arrays.ts'
import { ModelError } from '../../../base/errors.ts'
import type { JoinedTensors } from '../../contracts/engine.ts'
import { dtypeOf, sidesOf } from '../ir/declared.ts'
import type { Graph } from '../ir/graph.ts'
import { isMarked, markIds } from '../ir/ids.ts'
import { TensorProto_DataType as DataType } from '../ir/onnx_pb.ts'
import { declare, floatShape } from '../ir/tensor-shape.ts'

/**
 * Adds tensors to a graph that callers use instead of several of its own: an input [batch, columns], int32 or float32,
 * whose columns are split, converted and reshaped for the graph; an output [batch, columns], concatenated. Concatenated
 * outputs remain outputs too. Throws INVALID_BUNDLE for a missing tensor, UNSUPPORTED_GRAPH for one without a fixed
 * width.
 */
export function joinTensors(graph: Graph, { inputs, outputs }: JoinedTensors, file: string): void {
  for (const [name, { dtype, tensors }] of Object.entries(inputs))
    joinInputs(graph, name, dtype === 'int32' ? DataType.INT32 : DataType.FLOAT, tensors, file)
  for (const [name, { sigmoid, tensors }] of Object.entries(outputs)) joinOutputs(graph, name, sigmoid, tensors, file)
  graph.touch()
}

/** The saved graph's outputs that these outputs consist of, each once. */
export function partsOf(outputs: readonly string[], joined: JoinedTensors | undefined): string[] {
  return [...new Set(outputs.flatMap((name) => joined?.outputs[name]?.tensors ?? [name]))]
}

function joinInputs(graph: Graph, name: string, dtype: number, parts: string[], file: string): void {
  const tensors = parts.map((part) => find(graph, 'inputs', part, file))
  const total = tensors.reduce((sum, { width }) => sum + width, 0)
  const nodes = [...graph.nodes]
  const replaced = new Map<string, string>()
  let start = 0
  for (const { index, dtype: wanted, dims, width } of tensors) {
    const part = graph.inputs[index]!.name
    const shape = { dtype, dims: [-1, width] }
    const cut = [name, graph.integers([start]), graph.integers([start + width]), graph.integers([1])]
    let value = graph.node('Slice', cut, { shape })
    if (wanted !== dtype)
      value = graph.node('Cast', [value], { attributes: { to: wanted }, shape: { dtype: wanted, dims: [-1, width] } })
    if (dims.length !== 1)
      value = graph.node('Reshape', [value, graph.integers([-1, ...dims])], {
        shape: { dtype: wanted, dims: [-1, ...dims] },
      })
    replaced.set(part, value)
    start += width
  }
  // In one loop: a graph may have thousands of inputs.
  for (const node of nodes) node.input = node.input.map((read) => replaced.get(read) ?? read)
  graph.touch()
  const former = new Set(parts)
  const kept = graph.inputs.filter((input) => !former.has(input.name))
  const ids = graph.inputs.every((input) => !former.has(input.name) || isMarked(input))
  graph.inputs.splice(0, Infinity, ...kept, declare(name, { dtype, dims: [-1, total] }))
  if (ids) markIds(graph, new Set([name]))
  graph.shapes.set(name, { dtype, dims: [-1, total] })
}

function joinOutputs(graph: Graph, name: string, sigmoid: boolean, parts: string[], file: string): void {
  const tensors = parts.map((part) => find(graph, 'outputs', part, file))
  const total = tensors.reduce((sum, { width }) => sum + width, 0)
  const columns = tensors.map(({ index, dims, width, dtype }) => {
    const part = graph.outputs[index]!.name
    if (dtype !== DataType.FLOAT)
      throw new ModelError('UNSUPPORTED_GRAPH', `${file}: the output ${part} is not float32`)
    return dims.length === 1
      ? part
      : graph.node('Reshape', [part, graph.integers([-1, width])], { shape: floatShape(-1, width) })
  })
  const shape = floatShape(-1, total)
  const as = (last: boolean) => (last ? { shape, outputs: [name] } : { shape })
  const concatenated = graph.node('Concat', columns, { attributes: { axis: 1 }, ...as(!sigmoid) })
  if (sigmoid) graph.node('Sigmoid', [concatenated], as(true))
  graph.outputs.push(declare(name, shape))
}

function find(graph: Graph, side: 'inputs' | 'outputs', name: string, file: string) {
  const index = graph[side].findIndex((tensor) => tensor.name === name)
  const tensor = graph[side][index]
  if (tensor === undefined) {
    const names = graph[side].map((other) => other.name).join(', ')
    throw new ModelError('INVALID_BUNDLE', `${file}: there is no ${side.slice(0, -1)} ${name}, but ${names}`)
  }
  const dims = sidesOf(graph, tensor)
  if (dims === undefined)
    throw new ModelError('UNSUPPORTED_GRAPH', `${file}: the ${side.slice(0, -1)} ${name} has no fixed width`)
  return { index, dims, width: product(dims), dtype: dtypeOf(tensor) }
}
