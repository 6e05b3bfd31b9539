import { equal, positive } from '../../../base/arrays.ts'
import { isGemm } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'
import { isPlainReshape } from '../ir/reshape.ts'
import type { TensorShape } from '../ir/tensor-shape.ts'
import { isElementwise } from '../operators/table.ts'
import { bypass, type Rule } from './rule.ts'

/*
 * Canonical forms of attention, in which a candidate meets each item of a list: values are not repeated before they are
 * combined, and sums over items or over columns are products of matrices.
 */

/** Whether a node combines two operands, the smaller of which counts as repeated. */
const combinesTwo = (node: NodeProto): boolean => node.input.length === 2 && isElementwise(node)

/** Mul(x, Expand(y)) → Mul(x, y), if x has all of the output's elements. */
const dropExpand: Rule = (graph, node) => {
  const dims = graph.shapes.get(node.output[0]!)?.dims
  if (dims === undefined || !combinesTwo(node)) return false
  for (const [i, name] of node.input.entries()) {
    const source = repeated(graph, name)
    if (source === undefined || !equal(graph.shapes.get(node.input[1 - i]!)?.dims, dims)) continue
    node.input = node.input.with(i, source)
    graph.touch()
    return true
  }
  return false
}

/** Where(c, a, Expand(0)) → Where(c, a, 0): a number fits any shape that another operand has. */
const dropExpandedNumber: Rule = (graph, node) => {
  const dims = graph.shapes.get(node.output[0]!)?.dims
  if (dims === undefined || !isElementwise(node)) return false
  if (
    !node.input.some((name) => equal(graph.shapes.get(name)?.dims, dims) && expandedNumber(graph, name) === undefined)
  )
    return false
  const inputs = node.input.map((name) => expandedNumber(graph, name) ?? name)
  if (equal(inputs, node.input)) return false
  node.input = inputs
  graph.touch()
  return true
}

/** The constant of one number that an Expand repeats. */
function expandedNumber(graph: Graph, name: string): string | undefined {
  const node = graph.producer(name)
  const source = node?.opType === 'Expand' ? node.input[0]! : ''
  return graph.dimsOf(source)?.every((side) => side === 1) ? source : undefined
}

/** The tensor [batch, 1, …] that an Expand repeats along other dimensions than the batch; undefined if it is none. */
export function repeated(graph: Graph, name: string): string | undefined {
  const node = graph.producer(name)
  if (node?.opType !== 'Expand') return undefined
  const [source] = node.input as [string]
  const [before, after] = [graph.shapes.get(source)?.dims, graph.shapes.get(name)?.dims]
  if (before === undefined || after?.length !== before.length || before[0] !== after[0] || before[0] !== -1)
    return undefined
  return source
}

/** Not(Not(x)) → x, and Where(Not(c), a, b) → Where(c, b, a): masks are negated back and forth. */
const dropNot: Rule = (graph, node) => {
  const negated = graph.producer(node.input[0]!)
  if (negated?.opType !== 'Not') return false
  const [condition] = negated.input as [string]
  if (node.opType === 'Not') return !graph.isOutput(node.output[0]!) && bypass(graph, node, condition)
  if (node.opType !== 'Where') return false
  node.input = [condition, node.input[2]!, node.input[1]!]
  graph.touch()
  return true
}

/** Functions of one element each. */
const activations = new Set(['Relu', 'LeakyRelu', 'Elu', 'Sigmoid', 'Tanh', 'Softplus', 'Celu', 'Selu', 'Gelu'])

/** Relu(Reshape(Gemm)) → Reshape(Relu(Gemm)): an engine computes the two together. */
const activateBeforeReshape: Rule = (graph, node) => {
  const isPrelu = node.opType === 'PRelu'
  if (!isPrelu && (!activations.has(node.opType) || node.input.length !== 1)) return false
  const reshape = graph.producer(node.input[0]!)
  if (reshape === undefined || !isPlainReshape(graph, reshape) || !graph.isPrivate(node.input[0]!, node)) return false
  const [flat, target] = reshape.input as [string, string]
  const shape = graph.shapes.get(flat)
  const after = graph.shapes.get(node.output[0]!)
  if (!isGemm(graph, graph.producer(flat)) || shape === undefined || after === undefined) return false
  if (!graph.isPrivate(flat, reshape)) return false
  const slopes = isPrelu ? slopesOf(graph, node, shape) : []
  if (slopes === undefined) return false
  node.input = [flat, ...slopes]
  const activated = graph.fresh(`${node.output[0]}/flat`)
  const output = node.output[0]!
  node.output = [activated]
  graph.shapes.set(activated, shape)
  graph.touch()
  graph.node('Reshape', [activated, target], { shape: after, outputs: [output] })
  return true
}

/** The slopes of a PRelu as a vector, in a list, where they are one or one for each column, also of `flat`. */
function slopesOf(graph: Graph, { input, output }: NodeProto, flat: TensorShape): [string] | undefined {
  const [, name] = input as [string, string]
  const [dims, values] = [graph.dimsOf(name), graph.floats(name)]
  if (dims === undefined || values === undefined) return undefined
  const isColumns = [dims, graph.shapes.get(output[0]!)?.dims, flat.dims].every((own) => own?.at(-1) === values.length)
  if (values.length !== 1 && !isColumns) return undefined
  return [dims.length === 1 ? name : graph.constant(name, values, [values.length])]
}

/**
 * ReduceSum(Mul(a, b)) over one dimension → MatMul, if it is a product of matrices: a weighted sum of items, [batch, L,
 * 1]·[batch, L, d] over L, or products of each item with one vector, [batch, L, d]·[batch, 1, d] over d.
 */
const sumOfProducts: Rule = (graph, node) => {
  if (node.opType !== 'ReduceSum') return false
  const [product, axes] = node.input as [string, string?]
  const mul = graph.producer(product)
  const shape = graph.shapes.get(node.output[0]!)
  const dims = graph.shapes.get(product)?.dims
  const axis = axes === undefined ? undefined : graph.integersOf(axes)
  if (mul?.opType !== 'Mul' || axis?.length !== 1 || dims?.length !== 3 || shape === undefined) return false
  if (!graph.isPrivate(product, node)) return false
  for (const [a, b] of [mul.input, [...mul.input].reverse()] as [string, string][]) {
    const sum = matrixProduct(graph, [a, b], dims, positive(axis[0]!, 3))
    if (sum === undefined) continue
    const target = shape.dims.map((side) => (side < 0 ? -1 : side))
    return bypass(graph, node, graph.node('Reshape', [sum, graph.integers(target)], { shape }))
  }
  return false
}

/** The sum of a·b [batch, L, d] over an axis; a is the smaller one. */
function matrixProduct(
  graph: Graph,
  [a, b]: [string, string],
  dims: readonly number[],
  axis: number,
): string | undefined {
  const [, length, width] = dims as [number, number, number]
  const [small, large] = [graph.shapes.get(a), graph.shapes.get(b)]
  if (small === undefined || large === undefined || !equal(large.dims, dims) || length < 2 || width < 2)
    return undefined
  if (dims[0] !== -1 || large.dtype !== DataType.FLOAT) return undefined
  const shapeOf = (...sides: number[]) => ({ dtype: large.dtype, dims: sides })
  const reshape = (...sides: number[]) =>
    graph.node('Reshape', [a, graph.integers(sides)], { shape: shapeOf(...sides) })
  if (axis === 1 && equal(small.dims, [-1, length, 1]))
    return graph.node('MatMul', [reshape(-1, 1, length), b], { shape: shapeOf(-1, 1, width) })
  if (axis === 2 && equal(small.dims, [-1, 1, width]))
    return graph.node('MatMul', [b, reshape(-1, width, 1)], { shape: shapeOf(-1, length, 1) })
  return undefined
}

export const attentionRules: readonly Rule[] = [
  dropExpand,
  dropExpandedNumber,
  dropNot,
  activateBeforeReshape,
  sumOfProducts,
]

/** Whether a node combines operands of different sizes, as attention combines a candidate with each item. */
export function combinesSizes(graph: Graph, node: NodeProto): boolean {
  if (!combinesTwo(node)) return false
  const dims = node.input.map((name) => graph.shapes.get(name)?.dims)
  return dims.every((sides) => sides?.[0] === -1) && !equal(dims[0], dims[1]!)
}
