import { equal, positive } from '../../../base/arrays.ts'
import { intAttribute, intsAttribute } from '../ir/attributes.ts'
import type { Graph, Left } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { floatShape } from '../ir/tensor-shape.ts'

/** One task's mixture of experts: Σ_e gate[e]·expert[e]. */
export interface Mixture {
  /** The node that computes it. */
  node: NodeProto
  /** [batch, H] each. */
  experts: string[]
  /** [batch, E] */
  gate: string
  width: number
}

/**
 * Some mixtures of the same experts that do not depend on each other; none if all are `done`. Products that look like
 * mixtures but are not go to `left`.
 */
export function findMixtures(graph: Graph, done: Set<NodeProto>, left: Left): Mixture[] {
  const found: Mixture[] = []
  for (const node of [...graph.nodes]) {
    if (done.has(node)) continue
    const mixture = mixtureOf(graph, node, done)
    if (mixture === undefined) {
      const computed = node.opType === 'MatMul' && !node.input.some((name) => graph.constants.has(name))
      if (computed) left.set(node, 'it is not a known form of a mixture of experts')
      continue
    }
    const [first] = found
    if (first !== undefined && !equal(mixture.experts, first.experts)) continue
    if (!dependsOn(graph, node, new Set(found.map(({ node }) => node)))) found.push(mixture)
  }
  return found
}

/** Whether any of these nodes is needed to compute a node. */
function dependsOn(graph: Graph, node: NodeProto, others: Set<NodeProto>): boolean {
  const seen = new Set<NodeProto>()
  const open = [node]
  for (let next = open.pop(); next !== undefined; next = open.pop())
    for (const name of next.input) {
      const former = graph.producer(name)
      if (former === undefined || seen.has(former)) continue
      if (others.has(former)) return true
      seen.add(former)
      open.push(former)
    }
  return false
}

function mixtureOf(graph: Graph, node: NodeProto, done: Set<NodeProto>): Mixture | undefined {
  const output = graph.shapes.get(node.output[0]!)
  if (output === undefined || output.dims[0] !== -1) return undefined
  if (node.opType === 'MatMul') {
    const [a, b] = node.input as [string, string]
    return pair(graph, node, b, a, 'rows') ?? pair(graph, node, a, b, 'columns')
  }
  if (node.opType === 'ReduceSum') {
    const axes = node.input[1] ? graph.integersOf(node.input[1]) : intsAttribute(node, 'axes')
    const product = graph.producer(node.input[0]!)
    const rank = graph.shapes.get(node.input[0]!)?.dims.length
    if (rank !== 3 || axes?.length !== 1 || product?.opType !== 'Mul' || !graph.isPrivate(product.output[0]!, node))
      return undefined
    const over = positive(axes[0]!, rank)
    const layout = over === 1 ? 'rows' : over === 2 ? 'columns' : undefined
    if (layout === undefined) return undefined
    const [a, b] = product.input as [string, string]
    return pair(graph, node, a, b, layout, 'product') ?? pair(graph, node, b, a, layout, 'product')
  }
  return node.opType === 'Gather' ? pickedMixture(graph, node, done) : undefined
}

/** One task's row of a product of all tasks' gates, [batch, T, E]·[batch, E, H]. */
function pickedMixture(graph: Graph, node: NodeProto, done: Set<NodeProto>): Mixture | undefined {
  const product = graph.producer(node.input[0]!)
  const picked = graph.integersOf(node.input[1]!)
  if (product?.opType !== 'MatMul' || done.has(product) || picked?.length !== 1) return undefined
  if (intAttribute(node, 'axis', 0) !== 1) return undefined
  const [gates, stack] = product.input as [string, string]
  const experts = expertsOf(graph, stack, 'rows')
  const tasks = expertsOf(graph, gates, 'rows')
  if (experts === undefined || tasks === undefined) return undefined
  const gate = tasks[positive(picked[0]!, tasks.length)]
  return gate === undefined ? undefined : { node, experts, gate, width: expertWidth(graph, experts) }
}

/** `stack` [batch, E, H] (rows) or [batch, H, E] (columns), and a matching gate. */
function pair(
  graph: Graph,
  node: NodeProto,
  stack: string,
  gate: string,
  layout: 'rows' | 'columns',
  how: 'matrix' | 'product' = 'matrix',
): Mixture | undefined {
  const experts = expertsOf(graph, stack, layout)
  const dims = graph.shapes.get(gate)?.dims
  if (experts === undefined || dims?.length !== 3 || dims[0] !== -1) return undefined
  const count = experts.length
  // A matrix product has the gate along the other dimension, an element-wise product along the same.
  const asRow = (layout === 'rows') === (how === 'matrix')
  if (asRow ? dims[1] !== 1 || dims[2] !== count : dims[1] !== count || dims[2] !== 1) return undefined
  const former = graph.producer(gate)
  const flat = floatShape(-1, count)
  const source = former?.opType === 'Reshape' ? former.input[0]! : gate
  const known = graph.shapes.get(source)?.dims
  const plain = known?.length === 2 && known[0] === -1 && known[1] === count
  const name = plain ? source : graph.node('Reshape', [gate, graph.integers(flat.dims)], { shape: flat })
  return { node, experts, gate: name, width: expertWidth(graph, experts) }
}

/** The tensors [batch, H] of a stack. */
function expertsOf(graph: Graph, stack: string, layout: 'rows' | 'columns'): string[] | undefined {
  const node = graph.producer(stack)
  const dims = graph.shapes.get(stack)?.dims
  if (node === undefined || dims?.length !== 3 || dims[0] !== -1) return undefined
  if (node.opType === 'Transpose' && equal(intsAttribute(node, 'perm'), [0, 2, 1]))
    return expertsOf(graph, node.input[0]!, layout === 'rows' ? 'columns' : 'rows')
  const [count, width] = layout === 'rows' ? [dims[1]!, dims[2]!] : [dims[2]!, dims[1]!]
  const isExpert = (name: string) => equal(graph.shapes.get(name)?.dims, [-1, width])

  if (node.opType === 'Reshape' && layout === 'rows') {
    const concat = graph.producer(node.input[0]!)
    if (concat?.opType !== 'Concat' || intAttribute(concat, 'axis', 0) !== 1) return undefined
    return concat.input.length === count && concat.input.every(isExpert) ? [...concat.input] : undefined
  }
  if (node.opType !== 'Concat' || intAttribute(node, 'axis', 0) !== (layout === 'rows' ? 1 : 2)) return undefined
  const parts = node.input.map((name) => {
    const reshape = graph.producer(name)
    return reshape?.opType === 'Reshape' && isExpert(reshape.input[0]!) ? reshape.input[0]! : undefined
  })
  const whole = parts.filter((part) => part !== undefined)
  return whole.length === count && parts.length === count ? whole : undefined
}

function expertWidth(graph: Graph, experts: string[]): number {
  return graph.shapes.get(experts[0]!)!.dims[1]!
}
