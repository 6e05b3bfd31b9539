import { equal, positive, product } from '../../../base/arrays.ts'
import { floatAttribute, intAttribute, intsAttribute } from '../ir/attributes.ts'
import { isGemm, vectorOf, weightsOf } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { floatShape } from '../ir/tensor-shape.ts'
import { broadcast, matMulOfEinsum, permute } from './einsum.ts'
import { bypass, type Rule } from './rule.ts'

const transposeConstant: Rule = (graph, node) => {
  if (node.opType !== 'Transpose') return false
  const name = node.input[0]!
  const values = graph.floats(name)
  const dims = graph.dimsOf(name)
  if (values === undefined || dims?.length !== 2) return false
  if (!equal(intsAttribute(node, 'perm') ?? [1, 0], [1, 0])) return false
  return bypass(graph, node, graph.constant(`${name}/transposed`, permute(values, dims, [1, 0]), [dims[1]!, dims[0]!]))
}

/** Split of a constant vector, or of the rows of a constant matrix → constants. */
const splitConstant: Rule = (graph, node) => {
  if (node.opType !== 'Split') return false
  const [name] = node.input as [string]
  const [values, dims] = [graph.floats(name), graph.dimsOf(name)]
  const sizes = node.output.map((part) => graph.shapes.get(part)?.dims[0])
  if (values === undefined || dims === undefined || positive(intAttribute(node, 'axis', 0), dims.length) !== 0)
    return false
  if (dims.length > 2 || sizes.includes(undefined) || node.output.some((part) => graph.isOutput(part))) return false
  const width = product(dims.slice(1))
  let row = 0
  for (const [i, part] of node.output.entries()) {
    const size = sizes[i]!
    const rows = values.slice(row * width, (row + size) * width)
    row += size
    graph.replace(part, graph.constant(`${name}/part`, rows, [size, ...dims.slice(1)]))
  }
  graph.nodes.splice(graph.nodes.indexOf(node), 1)
  graph.touch()
  return true
}

/** The open side of a shape, if those before it are 1: the rows of such a tensor are those of a matrix. */
function openSide(dims: readonly number[]): number | undefined {
  const at = dims.findIndex((side) => side !== 1)
  return dims[at]! < 0 && dims.slice(at + 1).every((side) => side > 0) ? at : undefined
}

/** MatMul by a constant matrix → Gemm; more than two dimensions are flattened to rows for it. */
const matMulToGemm: Rule = (graph, node) => {
  if (node.opType !== 'MatMul') return false
  const [x, w] = node.input as [string, string]
  const before = graph.shapes.get(x)
  const dims = graph.dimsOf(w)
  if (before === undefined || dims?.length !== 2 || graph.floats(w) === undefined) return false
  const [k, n] = dims as [number, number]
  if (before.dims.length < 2 || openSide(before.dims) === undefined) return false
  if (before.dims.length === 2) {
    const gemm = graph.node('Gemm', [x, w], { shape: floatShape(before.dims[0]!, n) })
    return bypass(graph, node, gemm)
  }
  const after = graph.shapes.get(node.output[0]!)
  if (after === undefined) return false
  const rows = product(before.dims.slice(0, -1))
  const flat = graph.node('Reshape', [x, graph.integers([-1, k])], { shape: floatShape(rows, k) })
  const gemm = graph.node('Gemm', [flat, w], { shape: floatShape(rows, n) })
  const target = after.dims.map((side) => (side < 0 ? -1 : side))
  return bypass(graph, node, graph.node('Reshape', [gemm, graph.integers(target)], { shape: after }))
}

const einsumToMatMul: Rule = (graph, node) => {
  if (node.opType !== 'Einsum') return false
  const product = matMulOfEinsum(graph, node)
  return product !== undefined && bypass(graph, node, product)
}

/** Folds transB, alpha and beta into the constants. */
const plainGemm: Rule = (graph, node) => {
  if (node.opType !== 'Gemm' || node.attribute.length === 0) return false
  const [x, w, b] = node.input as [string, string, string?]
  const weights = graph.floats(w)
  const dims = graph.dimsOf(w)
  const shape = graph.shapes.get(node.output[0]!)
  if (weights === undefined || dims === undefined || shape === undefined || intAttribute(node, 'transA', 0) !== 0)
    return false
  const bias = b === undefined || b === '' ? undefined : graph.floats(b)
  if (b !== undefined && b !== '' && bias === undefined) return false
  const alpha = floatAttribute(node, 'alpha', 1)
  const beta = floatAttribute(node, 'beta', 1)
  const transposed = intAttribute(node, 'transB', 0) !== 0
  const [k, n] = transposed ? [dims[1]!, dims[0]!] : (dims as [number, number])
  const matrix = transposed ? permute(weights, dims, [1, 0]) : weights
  const scaled = alpha === 1 ? matrix : matrix.map((value) => value * alpha)
  const inputs = [x, graph.constant(`${w}/plain`, scaled, [k, n])]
  if (bias !== undefined) {
    const vector = vectorOf(graph, b!, n)
    if (vector === undefined) return false
    inputs.push(graph.constant(`${b}/plain`, beta === 1 ? vector : vector.map((value) => value * beta), [n]))
  }
  return bypass(graph, node, graph.node('Gemm', inputs, { shape }))
}

/** Gemm + constant → Gemm with bias. */
const biasIntoGemm: Rule = (graph, node) => {
  if (node.opType !== 'Add') return false
  for (const [x, b] of [node.input, [...node.input].reverse()] as [string, string][]) {
    const gemm = graph.producer(x)
    const shape = graph.shapes.get(node.output[0]!)
    if (gemm === undefined || !isGemm(graph, gemm) || !graph.isPrivate(x, node) || shape?.dims.length !== 2) continue
    const n = shape.dims[1]!
    if (graph.dimsOf(gemm.input[1]!)?.[1] !== n) continue
    const vector = vectorOf(graph, b, n)
    const former = gemm.input[2] === undefined ? new Float32Array(n) : vectorOf(graph, gemm.input[2], n)
    if (vector === undefined || former === undefined) continue
    const sum = vector.map((value, i) => value + former[i]!)
    const inputs = [gemm.input[0]!, gemm.input[1]!, graph.constant(`${b}/bias`, sum, [n])]
    return bypass(graph, node, graph.node('Gemm', inputs, { shape }))
  }
  return false
}

/** The product whose reshaped rows `x` only `node` reads, if the node keeps their shape. */
function reshapedProduct(graph: Graph, x: string, node: NodeProto): NodeProto | undefined {
  const reshape = graph.producer(x)
  const gemm = reshape?.opType === 'Reshape' ? graph.producer(reshape.input[0]!) : undefined
  if (reshape === undefined || !isGemm(graph, gemm)) return undefined
  if (!graph.isPrivate(x, node) || !graph.isPrivate(gemm.output[0]!, reshape)) return undefined
  return equal(graph.shapes.get(x)?.dims, graph.shapes.get(node.output[0]!)?.dims ?? []) ? gemm : undefined
}

/** Reshape(Gemm) + constant → Reshape(Gemm with bias), if every row of the product gets the same. */
const biasThroughReshape: Rule = (graph, node) => {
  if (node.opType !== 'Add') return false
  for (const [x, b] of [node.input, [...node.input].reverse()] as [string, string][]) {
    const [gemm, shape] = [reshapedProduct(graph, x, node), graph.shapes.get(node.output[0]!)]
    const values = graph.floats(b)
    if (gemm === undefined || values === undefined || shape === undefined) continue
    const open = openSide(shape.dims)
    if (open === undefined || shape.dims[open] !== -1) continue
    const dims = graph.dimsOf(b)!
    const sides = shape.dims.slice(open + 1)
    const all = broadcast(values, trimmed(dims, sides.length), sides)
    const { n, b: former } = weightsOf(graph, gemm)
    if (all === undefined || !all.every((value, i) => value === all[i % n])) continue
    const sum = former.map((value, i) => value + all[i]!)
    const inputs = [gemm.input[0]!, gemm.input[1]!, graph.constant(`${b}/bias`, sum, [n])]
    const product = graph.node('Gemm', inputs, { shape: graph.shapes.get(gemm.output[0]!)! })
    return bypass(graph, node, graph.node('Reshape', [product, graph.integers(shape.dims)], { shape }))
  }
  return false
}

/** A shape without the sides of 1 before its last `length`. */
function trimmed(dims: readonly number[], length: number): readonly number[] {
  const before = Math.max(0, dims.length - length)
  return dims.slice(0, before).every((side) => side === 1) ? dims.slice(before) : dims
}

/** Reshape(Gemm) · c → Reshape(Gemm · c): a product's factor belongs to its weights. */
const factorThroughReshape: Rule = (graph, node) => {
  if (node.opType !== 'Mul') return false
  for (const [x, c] of [node.input, [...node.input].reverse()] as [string, string][]) {
    const [gemm, shape] = [reshapedProduct(graph, x, node), graph.shapes.get(x)]
    const values = graph.floats(c)
    if (gemm === undefined || values?.length !== 1 || shape === undefined) continue
    const { k, n, w, b } = weightsOf(graph, gemm)
    const scaled = (numbers: Float32Array) => numbers.map((value) => value * values[0]!)
    const name = gemm.input[1]!
    const inputs = [graph.constant(`${name}/times`, scaled(w), [k, n]), graph.constant(`${name}/bias`, scaled(b), [n])]
    const product = graph.node('Gemm', [gemm.input[0]!, ...inputs], { shape: graph.shapes.get(gemm.output[0]!)! })
    return bypass(graph, node, graph.node('Reshape', [product, graph.producer(x)!.input[1]!], { shape }))
  }
  return false
}

/** BatchNormalization → Mul and Add by vectors. */
const plainNormalisation: Rule = (graph, node) => {
  if (node.opType !== 'BatchNormalization' || intAttribute(node, 'training_mode', 0) !== 0) return false
  const shape = graph.shapes.get(node.output[0]!)
  const [x, ...names] = node.input as [string, ...string[]]
  const [gamma, beta, mean, variance] = names.map((name) => graph.floats(name))
  if (!gamma || !beta || !mean || !variance || shape?.dims.length !== 2) return false
  const epsilon = floatAttribute(node, 'epsilon', 1e-5)
  const scale = gamma.map((value, i) => value / Math.sqrt(variance[i]! + epsilon))
  // In double precision.
  const shift = beta.map((value, i) => value - (mean[i]! * gamma[i]!) / Math.sqrt(variance[i]! + epsilon))
  const scaled = graph.node('Mul', [x, graph.constant(`${names[0]}/scale`, scale, [scale.length])], { shape })
  return bypass(
    graph,
    node,
    graph.node('Add', [scaled, graph.constant(`${names[1]}/shift`, shift, [shift.length])], { shape }),
  )
}

/** Sub and Div by a constant → Add and Mul. */
const plainArithmetic: Rule = (graph, node) => {
  if (node.opType !== 'Sub' && node.opType !== 'Div') return false
  const [x, c] = node.input as [string, string]
  const values = graph.floats(c)
  const shape = graph.shapes.get(node.output[0]!)
  if (values === undefined || shape === undefined) return false
  if (node.opType === 'Div' && !values.every(hasExactReciprocal) && !isNextToProduct(graph, node)) return false
  const [opType, changed] = node.opType === 'Sub' ? ['Add', values.map((v) => -v)] : ['Mul', values.map((v) => 1 / v)]
  return bypass(
    graph,
    node,
    graph.node(opType, [x, graph.constant(`${c}/plain`, changed, graph.dimsOf(c)!)], { shape }),
  )
}

/** Powers of two: for others x · (1 / c) may differ from x / c, which a Floor after it would magnify. */
function hasExactReciprocal(value: number): boolean {
  return value !== 0 && Number.isInteger(Math.log2(Math.abs(value))) && Math.fround(1 / value) !== 0
}

/**
 * Whether a node reads a product, or only products read it, with nothing between but scaling and shifting: then it is
 * folded into their weights.
 */
function isNextToProduct(graph: Graph, node: NodeProto): boolean {
  return isAfterProduct(graph, node) || isBeforeProducts(graph, node)
}

const linear = new Set(['Add', 'Sub', 'Mul', 'Div'])

function isAfterProduct(graph: Graph, { input }: NodeProto): boolean {
  const name = input.find((candidate) => !graph.constants.has(candidate))
  const former = graph.producer(name ?? '')
  if (former === undefined || input.length > 2) return false
  const isScaling = linear.has(former.opType) && hasConstant(graph, former)
  return (isScaling && isAfterProduct(graph, former)) || isGemm(graph, former)
}

function isBeforeProducts(graph: Graph, { output }: NodeProto): boolean {
  const users = graph.users(output[0]!)
  if (users.length === 0 || graph.isOutput(output[0]!)) return false
  return users.every((user) => {
    const isScaling = linear.has(user.opType) && hasConstant(graph, user)
    return (isScaling && isBeforeProducts(graph, user)) || (isGemm(graph, user) && user.input[0] === output[0])
  })
}

function hasConstant(graph: Graph, { input }: NodeProto): boolean {
  return input.filter((name) => graph.constants.has(name)).length === 1
}

/** Canonical forms of products by constants and of operators that can be folded into them; see `canonicalise`. */
export const productRules: Rule[] = [
  transposeConstant,
  splitConstant,
  matMulToGemm,
  einsumToMatMul,
  plainGemm,
  biasIntoGemm,
  biasThroughReshape,
  factorThroughReshape,
  plainNormalisation,
  plainArithmetic,
]
