import { equal, positive, product } from '../../../base/arrays.ts'
import { intAttribute, intsAttribute } from '../ir/attributes.ts'
import { isGemm } from '../ir/gemm.ts'
import type { Graph, Left } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { isPlainReshape } from '../ir/reshape.ts'
import type { TensorShape } from '../ir/tensor-shape.ts'
import { present } from '../operators/operator.ts'
import { operatorOf } from '../operators/table.ts'
import { attentionRules } from './attention-rules.ts'
import { gatherRules } from './gather-rules.ts'
import { productRules } from './product-rules.ts'
import { bypass, type Rule } from './rule.ts'

/**
 * Rewrites graphs in the canonical form that the other passes expect:
 *
 * - nodes without effect are removed: Identity, Dropout, casts to the same type;
 * - operators that keep the order of elements (Flatten, Squeeze, Unsqueeze, some Transpose) are a Reshape to a fixed
 *   shape,
 *   never two in sequence;
 * - rows are flattened before they are concatenated, so that features are in one Concat over axis 1;
 * - a product by a constant matrix is `Gemm(x, W, b)`, x [batch, k], W [k, n], b [n], without further attributes;
 * - an Einsum that is a matrix product is a MatMul;
 * - negative ids, counted from a table's end, are left to Gather, which counts likewise;
 * - normalisation is a Mul and an Add by vectors; Sub and Div by constants are Add and Mul;
 * - values are not repeated before they are combined, and a sum of products over a list is a MatMul.
 *
 * Returns the number of nodes that were rewritten. Operators that no pass knows are kept.
 */
export function canonicalise(graph: Graph, left: Left): number {
  let changes = 0
  for (let changed = true; changed; ) {
    changed = false
    for (const node of [...graph.nodes]) {
      const rewritten = rules.some((rule) => rule(graph, node))
      if (rewritten) {
        changes++
        changed = true
      }
    }
    graph.tidy()
  }
  for (const node of graph.nodes) {
    if (!isUnderstood(node)) left.set(node, 'no pass knows this operator')
    else if (node.opType === 'Gemm' && !isGemm(graph, node)) left.set(node, 'its weights are not plain constants')
  }
  return changes
}

/** Operators that passes rewrite, though their columns can't be followed. */
const rewritten = new Set(['Gemm', 'MatMul', 'ReduceSum', 'Softmax'])

/** Whether passes handle a node, or can follow its columns; others are kept. */
const isUnderstood = (node: NodeProto): boolean =>
  node.domain === '' && (rewritten.has(node.opType) || present(operatorOf(node)?.columns) !== undefined)

const dropConstantNode: Rule = (graph, node) => {
  if (node.opType !== 'Constant' || graph.isOutput(node.output[0]!)) return false
  const name = constantOf(graph, node)
  return name !== undefined && bypass(graph, node, name)
}

/** Has the users of nodes that only yield constants read these: then each constant has one name. */
export function nameConstants(graph: Graph): void {
  const yields = (node: NodeProto) =>
    node.opType === 'Constant' || (node.opType === 'Identity' && graph.constants.has(node.input[0]!))
  for (let changed = true; changed; ) {
    changed = false
    for (const node of graph.nodes.filter(yields))
      changed = dropConstantNode(graph, node) || dropIdentity(graph, node) || changed
  }
}

/** Turns a Constant node into a constant of the graph; returns its name. */
function constantOf(graph: Graph, node: NodeProto): string | undefined {
  const [held] = node.attribute
  const wanted = node.output[0]!
  if (held?.name === 'value' && held.t !== undefined) {
    held.t.name = graph.fresh(wanted)
    graph.constants.set(held.t.name, held.t)
    return held.t.name
  }
  if (held?.name === 'value_int') return graph.constant(wanted, BigInt64Array.of(held.i), [])
  if (held?.name === 'value_ints') return graph.constant(wanted, BigInt64Array.from(held.ints), [held.ints.length])
  if (held?.name === 'value_float') return graph.constant(wanted, Float32Array.of(held.f), [])
  if (held?.name === 'value_floats') return graph.constant(wanted, Float32Array.from(held.floats), [held.floats.length])
  return undefined
}

const dropIdentity: Rule = (graph, node) => {
  const [x] = node.input
  const sameType =
    node.opType === 'Cast' && graph.shapes.get(x!)?.dtype === intAttribute(node, 'to', 0) && intAttribute(node, 'to', 0)
  if (node.opType !== 'Identity' && node.opType !== 'Dropout' && !sameType) return false
  if (graph.isOutput(node.output[0]!) && (graph.producer(x!) === undefined || graph.isOutput(x!))) return false
  if (node.output.slice(1).some((name) => graph.users(name).length > 0)) return false
  return bypass(graph, node, x!)
}

const reshapes = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose'])

/** Operators that keep the order of elements → one Reshape. */
const toReshape: Rule = (graph, node) => {
  if (!reshapes.has(node.opType)) return false
  const [x] = node.input
  const before = graph.shapes.get(x!)
  const after = graph.shapes.get(node.output[0]!)
  if (before === undefined || after === undefined) return false
  if (node.opType === 'Transpose' && !keepsOrder(before.dims, intsAttribute(node, 'perm'))) return false
  // Only the batch may be open: a Reshape can infer one dimension.
  if (after.dims.filter((side) => side < 0).length !== 1) return false
  const target = after.dims.map((side) => (side < 0 ? -1 : side))
  const former = graph.producer(x!)
  const source = former !== undefined && isPlainReshape(graph, former) ? former.input[0]! : x!
  if (equal(graph.shapes.get(source)?.dims, after.dims) && !graph.isOutput(node.output[0]!))
    return bypass(graph, node, source)
  if (isPlainReshape(graph, node) && source === x) return false
  const reshaped = graph.node('Reshape', [source, graph.integers(target)], { shape: after })
  return bypass(graph, node, reshaped)
}

/** Reshape(Concat(a, b)) → Concat(Reshape(a), Reshape(b)): rows are flattened, then concatenated. */
const flattenBeforeConcat: Rule = (graph, node) => {
  if (!isPlainReshape(graph, node)) return false
  const concat = graph.producer(node.input[0]!)
  const before = graph.shapes.get(node.input[0]!)
  const after = graph.shapes.get(node.output[0]!)
  if (concat?.opType !== 'Concat' || before === undefined || after === undefined) return false
  const axis = positive(intAttribute(concat, 'axis', 0), before.dims.length)
  if (axis !== 1 || before.dims.length < 3 || after.dims.length !== 2 || before.dims[0] !== -1 || after.dims[0] !== -1)
    return false
  const parts: string[] = []
  for (const name of concat.input) {
    const shape = graph.shapes.get(name)
    if (shape === undefined || shape.dims[0] !== -1) return false
    const flat: TensorShape = { dtype: shape.dtype, dims: [-1, product(shape.dims.slice(1))] }
    parts.push(graph.node('Reshape', [name, graph.integers(flat.dims)], { shape: flat }))
  }
  return bypass(graph, node, graph.node('Concat', parts, { attributes: { axis: 1 }, shape: after }))
}

/** Counts a Concat's axis from the front; removes a Concat of one part, or of all parts of a Split. */
/** Maximum parts of a flattened Concat: nested Concats of the same part grow exponentially. */
const mostParts = 1000

const tidyConcat: Rule = (graph, node) => {
  if (node.opType !== 'Concat') return false
  const shape = graph.shapes.get(node.output[0]!)
  if (shape === undefined) return false
  const axis = intAttribute(node, 'axis', 0)
  if (axis < 0) {
    const attributes = { axis: positive(axis, shape.dims.length) }
    return bypass(graph, node, graph.node('Concat', node.input, { attributes, shape }))
  }
  if (graph.isOutput(node.output[0]!)) return false
  if (node.input.length === 1) return bypass(graph, node, node.input[0]!)
  const split = graph.producer(node.input[0]!)
  if (split?.opType === 'Split' && positive(intAttribute(split, 'axis', 0), shape.dims.length) === axis)
    if (equal(split.output, node.input)) return bypass(graph, node, split.input[0]!)
  // Concat(Concat(a, b), c) → Concat(a, b, c)
  const inner = node.input.map((name) => {
    const part = graph.producer(name)
    const same = part?.opType === 'Concat' && intAttribute(part, 'axis', 0) === axis && graph.isPrivate(name, node)
    return same ? part.input : [name]
  })
  const parts = inner.flat()
  if (inner.every(({ length }) => length === 1) || parts.length > mostParts) return false
  return bypass(graph, node, graph.node('Concat', parts, { attributes: { axis }, shape }))
}

/**
 * Removes x < 0 ? x + n : x from ids of a table of n rows, as Keras 3 writes it: Gather handles negative ids likewise.
 */
const dropNegativeIds: Rule = (graph, node) => {
  if (node.opType !== 'Gather' || intAttribute(node, 'axis', 0) !== 0) return false
  const rows = graph.dimsOf(node.input[0]!)?.[0]
  const chosen = graph.producer(node.input[1]!)
  const parts = chosen && (chosen.opType === 'Where' ? whereParts(graph, chosen) : sumParts(graph, chosen))
  if (rows === undefined || parts === undefined) return false
  const { below, added, x } = parts
  const isShift =
    added?.opType === 'Add' && added.input[0] === x && graph.integersOf(added.input[1]!)?.join() === `${rows}`
  if (!isShift || below?.opType !== 'Less' || throughCasts(graph, below.input[0]!) !== throughCasts(graph, x))
    return false
  if (graph.floats(below.input[1]!)?.join() !== '0' && graph.integersOf(below.input[1]!)?.join() !== '0') return false
  node.input = [node.input[0]!, x]
  graph.touch()
  return true
}

/** The parts of a choice between two values: the condition, the value if it holds, and the other. */
interface Choice {
  below: NodeProto | undefined
  added: NodeProto | undefined
  x: string
}

function whereParts(graph: Graph, { input }: NodeProto): Choice {
  const [below, added, x] = input as [string, string, string]
  return { below: graph.producer(below), added: graph.producer(added), x }
}

/** The same as a sum of products by 0 and 1, which tf2onnx writes. */
function sumParts(graph: Graph, sum: NodeProto): Choice | undefined {
  if (sum.opType !== 'Add') return undefined
  const [shifted, kept] = sum.input.map((name) => graph.producer(name))
  if (shifted?.opType !== 'Mul' || kept?.opType !== 'Mul') return undefined
  const below = conditionOf(graph, shifted.input[0]!)
  const above = graph.producer(graph.producer(kept.input[1]!)?.input[0] ?? '')
  if (below === undefined || above?.opType !== 'Not' || above.input[0] !== below.output[0]) return undefined
  return { below, added: graph.producer(shifted.input[1]!), x: kept.input[0]! }
}

/** The comparison that a number 0 or 1 was cast from. */
function conditionOf(graph: Graph, name: string): NodeProto | undefined {
  const cast = graph.producer(name)
  return cast?.opType === 'Cast' ? graph.producer(cast.input[0]!) : undefined
}

function throughCasts(graph: Graph, name: string): string {
  const node = graph.producer(name)
  return node?.opType === 'Cast' ? throughCasts(graph, node.input[0]!) : name
}

const rules: Rule[] = [
  dropNegativeIds,
  dropConstantNode,
  dropIdentity,
  toReshape,
  flattenBeforeConcat,
  tidyConcat,
  ...gatherRules,
  ...productRules,
  ...attentionRules,
]

/** Whether a Transpose moves only dimensions of 1. */
function keepsOrder(dims: readonly number[], perm: readonly number[] | undefined): boolean {
  const order = perm ?? dims.map((_, i) => dims.length - 1 - i)
  const moved = order.filter((axis) => dims[axis] !== 1)
  return moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)
}
