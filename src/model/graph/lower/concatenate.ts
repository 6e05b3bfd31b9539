import { product } from '../../../base/arrays.ts'
import type { FieldTensor, JoinedInput, JoinedTensors } from '../../contracts/engine.ts'
import { dtypeOf, sidesOf } from '../ir/declared.ts'
import { invalidIn, unsupportedIn } from '../ir/file-errors.ts'
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
  for (const [name, input] of Object.entries(inputs)) joinInputs(graph, name, input, file)
  for (const [name, { sigmoid, tensors }] of Object.entries(outputs)) joinOutputs(graph, name, sigmoid, tensors, file)
  graph.touch()
}

/** The saved graph's outputs that these outputs consist of, each once. */
export function partsOf(outputs: readonly string[], joined: JoinedTensors | undefined): string[] {
  return [...new Set(outputs.flatMap((name) => joined?.outputs[name]?.tensors ?? [name]))]
}

function joinInputs(graph: Graph, name: string, input: JoinedInput, file: string): void {
  const dtype = input.dtype === 'int32' ? DataType.INT32 : DataType.FLOAT
  const nodes = [...graph.nodes]
  const replaced = new Map<string, string>()
  const { parts, width: total } = partsOfInput(input, (tensor) => find(graph, 'inputs', tensor, file).width)
  for (const part of parts) {
    const { dims, dtype: wanted } = find(graph, 'inputs', part.tensor, file, part.is === 'lengths' ? 1 : part.width)
    replaced.set(part.tensor, takePart(graph, name, { dtype, ...part }, { dims, dtype: wanted }))
  }
  // In one loop: a graph may have thousands of inputs.
  for (const node of nodes) node.input = node.input.map((read) => replaced.get(read) ?? read)
  graph.touch()
  const kept = graph.inputs.filter((input) => !replaced.has(input.name))
  const ids = graph.inputs.every((input) => !isOfIds(parts, input.name) || isMarked(input))
  graph.inputs.splice(0, Infinity, ...kept, declare(name, { dtype, dims: [-1, total] }))
  if (ids) markIds(graph, new Set([name]))
  graph.shapes.set(name, { dtype, dims: [-1, total] })
}

const isOfIds = (parts: readonly InputPart[], name: string) =>
  parts.some(({ tensor, is }) => tensor === name && is === 'values')

/** A tensor of the graph, and the columns of the input that callers see of which it is made. */
export interface InputPart extends Omit<FieldTensor, 'first'> {
  /** The first column, where they follow each other, else all. */
  columns: number | readonly number[]
}

/** The tensors that an input stands for, and its width. `widthOf`: of a tensor of the graph. */
export function partsOfInput(
  { tensors, columns, fields }: JoinedInput,
  widthOf: (tensor: string) => number,
): { parts: InputPart[]; width: number } {
  let next = 0
  const parts = tensors.map((tensor): InputPart => {
    const width = widthOf(tensor)
    const first = next
    next += width
    return { tensor, width, is: 'values', columns: columns?.slice(first, next) ?? first }
  })
  const own = (fields?.tensors ?? []).map(({ first, ...part }): InputPart => ({ ...part, columns: first }))
  return { parts: [...parts, ...own], width: fields?.width ?? next }
}

/** A tensor that is made of columns of an input; `wanted`: its type and its dimensions after the batch. */
function takePart(
  graph: Graph,
  input: string,
  { columns, width, is, padding = 0, dtype }: InputPart & { dtype: number },
  wanted: { dims: readonly number[]; dtype: number },
): string {
  const whole = { dtype, dims: [-1, width] }
  const cut =
    typeof columns === 'number'
      ? graph.node('Slice', [input, ...[columns, columns + width, 1].map((i) => graph.integers([i]))], { shape: whole })
      : graph.node('Gather', [input, graph.integers(columns)], { attributes: { axis: 1 }, shape: whole })
  const cast = (value: string, from: number, to: number, dims: number[]) =>
    from === to ? value : graph.node('Cast', [value], { attributes: { to }, shape: { dtype: to, dims } })
  let value = cut
  if (is !== 'values') {
    const bool = { dtype: DataType.BOOL, dims: [-1, width] }
    const empty = graph.constant('padding', Int32Array.of(padding), [])
    value = graph.node('Not', [graph.node('Equal', [cut, empty], { shape: bool })], { shape: bool })
  }
  const from = is === 'values' ? dtype : DataType.BOOL
  value = is === 'lengths' ? countTrue(graph, value, width) : value
  const columnsLeft = is === 'lengths' ? 1 : width
  value = cast(value, is === 'lengths' ? DataType.FLOAT : from, wanted.dtype, [-1, columnsLeft])
  if (wanted.dims.length === 1) return value
  const shape = { dtype: wanted.dtype, dims: [-1, ...wanted.dims] }
  return graph.node('Reshape', [value, graph.integers([-1, ...wanted.dims])], { shape })
}

/** float32 [batch, 1]: how many of each row's booleans are true. */
function countTrue(graph: Graph, mask: string, width: number): string {
  const floats = graph.node('Cast', [mask], { attributes: { to: DataType.FLOAT }, shape: floatShape(-1, width) })
  const shape = floatShape(-1, 1)
  // ReduceSum takes its axes as an input from operator set 13 on.
  return graph.opset >= 13
    ? graph.node('ReduceSum', [floats, graph.integers([1])], { attributes: { keepdims: 1 }, shape })
    : graph.node('ReduceSum', [floats], { attributes: { axes: [1], keepdims: 1 }, shape })
}

function joinOutputs(graph: Graph, name: string, sigmoid: boolean, parts: string[], file: string): void {
  const tensors = parts.map((part) => find(graph, 'outputs', part, file))
  const total = tensors.reduce((sum, { width }) => sum + width, 0)
  const columns = tensors.map(({ index, dims, width, dtype }) => {
    const part = graph.outputs[index]!.name
    if (dtype !== DataType.FLOAT) throw unsupportedIn(file, `the output ${part} is not float32`)
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

/** `expected`: the width of an input that has no fixed one. */
function find(graph: Graph, side: 'inputs' | 'outputs', name: string, file: string, expected?: number) {
  const index = graph[side].findIndex((tensor) => tensor.name === name)
  const tensor = graph[side][index]
  if (tensor === undefined) {
    const names = graph[side].map((other) => other.name).join(', ')
    throw invalidIn(file, `there is no ${side.slice(0, -1)} ${name}, but ${names}`)
  }
  const dims = sidesOf(graph, tensor) ?? (expected === undefined ? undefined : [expected])
  if (dims === undefined) throw unsupportedIn(file, `the ${side.slice(0, -1)} ${name} has no fixed width`)
  const width = product(dims)
  if (expected !== undefined && width !== expected)
    throw invalidIn(file, `the input ${name} has ${width} columns, and its field ${expected}`)
  return { index, dims, width, dtype: dtypeOf(tensor) }
}
