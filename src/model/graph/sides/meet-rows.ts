import { equal } from '../../../base/arrays.ts'
import { intAttribute, intsAttribute } from '../ir/attributes.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'
import { sizesName } from '../ir/reshape.ts'
import { floatShape, type TensorShape } from '../ir/tensor-shape.ts'
import { isElementwise } from '../operators/table.ts'

/*
 * Values of the context meet the rows of its request without being repeated for each. They are [1, …] where a call has
 * one request, and [rows, …] where it has several: the same graph computes both.
 */

/** Sizes that are known when a graph runs, int64 [1]. */
export interface Counts {
  /** The rows of the call. */
  rows: () => string
  /** The first side of values of the context: 1 or the number of rows. */
  contexts: () => string
}

/**
 * Has the nodes of a graph read values of the context, `shared`, whose shapes are given as [-1, …]: unchanged where
 * the operator repeats them, in a product of matrices for all rows of a request, or else repeated.
 */
export function meetRows(graph: Graph, shared: Set<string>, counts: Counts): void {
  if (shared.size === 0) return
  graph.tidy()
  const repeated = new Map<string, string>()
  const repeat = (name: string): string => {
    const known = repeated.get(name) ?? repeatForRows(graph, name, counts.rows)
    repeated.set(name, known)
    return known
  }
  const byHead: ByHead = new Map()
  for (const node of [...graph.nodes]) {
    limitMasked(graph, node, shared)
    keepByHead(graph, node, shared, byHead)
    const values = node.input.filter((name) => name !== '' && !graph.constants.has(name))
    if (!values.some((name) => shared.has(name))) continue
    const ofRows = values.filter((name) => !shared.has(name))
    const [output] = node.output as [string]
    if (ofRows.length === 0 && keepsRows(graph, node) && !graph.isOutput(output)) shared.add(output)
    else if (ofRows.length > 0 && repeatsOperands(graph, node, values)) continue
    else if (ofRows.length === 0 || !multiply(graph, node, shared, counts, byHead)) {
      node.input = node.input.map((name) => (shared.has(name) ? repeat(name) : name))
      graph.touch()
    }
  }
  graph.tidy()
}

/** Whether each row of a node's output follows from the same row of its only input that is no constant. */
function keepsRows(graph: Graph, node: NodeProto): boolean {
  const [before, after] = [node.input[0]!, node.output[0]!].map((name) => graph.shapes.get(name)?.dims)
  if (after?.[0] !== -1) return false
  if (isElementwise(node))
    return node.input.every((name) => !graph.constants.has(name) || isOfOneRow(graph, name, after.length))
  if (before?.[0] !== -1) return false
  if (node.opType === 'Reshape') return graph.integersOf(node.input[1]!)?.[0] === -1
  if (node.opType === 'Transpose') return intsAttribute(node, 'perm')?.[0] === 0
  return node.opType === 'Softmax' && intAttribute(node, 'axis', -1) !== 0
}

function isOfOneRow(graph: Graph, constant: string, rank: number): boolean {
  const dims = graph.dimsOf(constant)!
  return dims.length < rank || dims[0] === 1
}

/** Whether a node repeats the operands that have one row. */
function repeatsOperands(graph: Graph, node: NodeProto, values: readonly string[]): boolean {
  const rank = graph.shapes.get(node.output[0]!)?.dims.length
  return isElementwise(node) && values.every((name) => graph.shapes.get(name)?.dims.length === rank)
}

/** [1 or rows, …] → [rows, …] */
export function repeatForRows(graph: Graph, name: string, rows: Counts['rows']): string {
  const shape = graph.shapes.get(name)!
  const target = sizes(graph, [rows(), shape.dims.slice(1)])
  return graph.node('Expand', [name, target], { shape })
}

/** A shape: sizes that are known when the graph runs, and others. */
function sizes(graph: Graph, parts: readonly (string | readonly number[])[]): string {
  const names = parts.map((part) => (typeof part === 'string' ? part : graph.integers(part)))
  const length = parts.reduce((sum, part) => sum + (typeof part === 'string' ? 1 : part.length), 0)
  const shape = { dtype: DataType.INT64, dims: [length] }
  return graph.node('Concat', names, { attributes: { axis: 0 }, shape, outputs: [graph.fresh(sizesName)] })
}

/**
 * Computes a product of matrices per row, one of which is the context's, as one product for all rows of a request: the
 * rows of the other are those of one matrix. Returns whether the node is such a product.
 */
function multiply(graph: Graph, node: NodeProto, shared: ReadonlySet<string>, counts: Counts, byHead: ByHead): boolean {
  if (node.opType !== 'MatMul' || node.input.length !== 2) return false
  const [a, b] = node.input as [string, string]
  const [left, right] = [graph.shapes.get(a), graph.shapes.get(b)]
  const shape = graph.shapes.get(node.output[0]!)
  if (left === undefined || right === undefined || shape === undefined) return false
  const rank = shape.dims.length
  const isKnown = [left, right, shape].every(
    ({ dtype, dims }) =>
      dtype === DataType.FLOAT && dims.length === rank && dims[0] === -1 && dims.slice(1).every((side) => side > 0),
  )
  if (!isKnown || rank < 3 || rank > 4) return false
  if (!equal(left.dims.slice(1, -2), right.dims.slice(1, -2))) return false
  const value = shared.has(b)
    ? byContext(graph, a, b, counts, byHead)
    : transposed(graph, byContext(graph, transposed(graph, b), transposed(graph, a), counts, byHead))
  graph.bypass(node, value)
  return true
}

/** rows [rows, heads…, m, k] · context [1 or rows, heads…, k, n] → [rows, heads…, m, n] */
function byContext(graph: Graph, rows: string, context: string, { contexts }: Counts, byHead: ByHead): string {
  const [, ...sides] = graph.shapes.get(rows)!.dims
  const n = graph.shapes.get(context)!.dims.at(-1)!
  const [m, k] = sides.slice(-2) as [number, number]
  const heads = sides.slice(0, -2)
  const reshape = (x: string, target: string, ...dims: number[]) =>
    graph.node('Reshape', [x, target], { shape: floatShape(...dims) })
  if (heads.length === 0) {
    const matrix = reshape(rows, sizes(graph, [contexts(), [-1, k]]), -1, -1, k)
    const product = graph.node('MatMul', [matrix, context], { shape: floatShape(-1, -1, n) })
    return reshape(product, graph.integers([-1, m, n]), -1, m, n)
  }
  // The rows of a head side by side: [1 or rows, rows or 1, heads, m, k] → [1 or rows, heads, rows·m or m, k].
  const [h] = heads as [number]
  const perm = [0, 2, 1, 3, 4]
  const apart = () => {
    const split = reshape(rows, sizes(graph, [contexts(), [-1, h, m, k]]), -1, -1, h, m, k)
    const moved = graph.node('Transpose', [split], { attributes: { perm }, shape: floatShape(-1, h, -1, m, k) })
    return reshape(moved, sizes(graph, [contexts(), [h, -1, k]]), -1, h, -1, k)
  }
  const matrix = byHead.get(rows) ?? apart()
  const product = graph.node('MatMul', [matrix, context], { shape: floatShape(-1, h, -1, n) })
  const divided = reshape(product, sizes(graph, [contexts(), [h, -1, m, n]]), -1, h, -1, m, n)
  const back = graph.node('Transpose', [divided], { attributes: { perm }, shape: floatShape(-1, -1, h, m, n) })
  const value = reshape(back, graph.integers([-1, h, m, n]), -1, h, m, n)
  byHead.set(value, product)
  return value
}

/**
 * Values of rows [rows, heads, m, n], and the same as a product with the context leaves them: [1 or rows, heads, rows·m
 * or m, n].
 */
type ByHead = Map<string, string>

/**
 * Computes masks and softmaxes of scores as the product left them, too: where the next product takes them so, nothing
 * is moved between the two.
 */
function keepByHead(graph: Graph, node: NodeProto, shared: ReadonlySet<string>, byHead: ByHead): void {
  const [first] = node.input.filter((name) => byHead.has(name))
  const [output] = node.output as [string]
  if (first === undefined || graph.isOutput(output) || !graph.isPrivate(first, node)) return
  const shape = graph.shapes.get(output)
  if (!equal(shape?.dims, graph.shapes.get(first)!.dims)) return
  const isSameForAll = (name: string) => {
    const dims = shared.has(name) ? graph.shapes.get(name)?.dims : graph.dimsOf(name)
    return (
      dims !== undefined &&
      (dims.at(-2) ?? 1) === 1 &&
      (shared.has(name) ? dims.length === 4 : isOfOneRow(graph, name, 4))
    )
  }
  const isKept = isElementwise(node)
    ? node.input.every((name) => name === first || isSameForAll(name))
    : node.opType === 'Softmax' && [-1, 3].includes(intAttribute(node, 'axis', -1))
  if (!isKept) return
  const input = node.input.map((name) => byHead.get(name) ?? name)
  const twin = graph.node(node.opType, input, { shape: graph.shapes.get(byHead.get(first)!)! })
  graph.producer(twin)!.attribute = [...node.attribute]
  byHead.set(output, twin)
}

function isLowNumber(graph: Graph, name: string): boolean {
  const values = graph.floats(name)
  return values?.length === 1 && values[0]! <= leastScore
}

/** Scores are above: as a mask, it is the least of any two. */
const leastScore = -1e4

/** Where(mask, −10⁹, x) → Min(x, Where(mask, −10⁹, ∞)): the mask is the context's, and so is the limit. */
function limitMasked(graph: Graph, node: NodeProto, shared: Set<string>): void {
  if (node.opType !== 'Where') return
  const [mask, yes, no] = node.input as [string, string, string]
  const masksYes = isLowNumber(graph, yes)
  const x = masksYes ? no : yes
  if (!(masksYes || isLowNumber(graph, no)) || !shared.has(mask) || shared.has(x) || graph.constants.has(x)) return
  const shape = { dtype: DataType.FLOAT, dims: graph.shapes.get(mask)!.dims }
  const unbounded = graph.constant('unbounded', Float32Array.of(Infinity), [])
  const limit = graph.node('Where', masksYes ? [mask, yes, unbounded] : [mask, unbounded, no], { shape })
  shared.add(limit)
  node.opType = 'Min'
  node.input = [x, limit]
  graph.touch()
}

/** The last two dimensions exchanged: without moving anything, where one of them is 1. */
function transposed(graph: Graph, name: string): string {
  const { dims, dtype } = graph.shapes.get(name)!
  const [m, n] = dims.slice(-2) as [number, number]
  const shape: TensorShape = { dtype, dims: [...dims.slice(0, -2), n, m] }
  if (m === 1 || n === 1) return graph.node('Reshape', [name, graph.integers(shape.dims)], { shape })
  const perm = [...dims.keys()]
  perm.push(...perm.splice(-2).reverse())
  return graph.node('Transpose', [name], { attributes: { perm }, shape })
}
