import { floatShape, type Graph, intAttribute, intsAttribute, type Left } from '../graph.ts'
import type { NodeProto } from '../onnx_pb.ts'
import { isGemm, positive, weightsOf } from './canonicalise.ts'
import { multiply } from './fold-linear.ts'

/** One task's mixture of experts: Σ_e gate[e]·expert[e]. */
interface Mixture {
  /** What computes it. */
  node: NodeProto
  /** [batch, H] each. */
  experts: string[]
  /** [batch, E] */
  gate: string
  width: number
}

/** With more tasks the mixture of all tasks' columns by all gates, of which a task needs its own, costs too much. */
const mostTasksThrough = 4

/**
 * Mixtures of the same experts → one batched product, [batch, T, E]·[batch, E, H], however they were written: as a
 * product by a column or a row, or as a product and a sum.
 *
 * A mixture is linear in its experts. Where these end in a linear layer, and the towers begin with one, the two become
 * one, `Σ_e g_e·(h_e·W_e + b_e)·W_t + b_t = Σ_e g_e·(h_e·(W_e·W_t) + (b_e·W_t + b_t))`, since a softmax' weights add up
 * to 1: done where it takes fewer multiplications.
 *
 * Answers how many mixtures were rewritten.
 */
export function mixExperts(graph: Graph, left: Left): number {
  const groups = new Map<string, Mixture[]>()
  for (const node of graph.nodes) {
    const mixture = mixtureOf(graph, node)
    if (mixture === undefined) {
      const computed = node.opType === 'MatMul' && !node.input.some((name) => graph.constants.has(name))
      if (computed) left.set(node, 'it is no mixture of experts that is known')
      continue
    }
    const key = mixture.experts.join('\n')
    groups.set(key, [...(groups.get(key) ?? []), mixture])
  }
  let rewritten = 0
  for (const mixtures of groups.values()) {
    if (!mixThrough(graph, mixtures)) mixPlain(graph, mixtures)
    rewritten += mixtures.length
  }
  graph.tidy()
  return rewritten
}

function mixtureOf(graph: Graph, node: NodeProto): Mixture | undefined {
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
  return undefined
}

/** `stack` [batch, E, H] (rows) or [batch, H, E] (columns), and a gate that fits. */
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
  // A matrix product takes the gate as the other side, a product element by element as the same.
  const asRow = (layout === 'rows') === (how === 'matrix')
  if (asRow ? dims[1] !== 1 || dims[2] !== count : dims[1] !== count || dims[2] !== 1) return undefined
  const former = graph.producer(gate)
  const flat = floatShape(-1, count)
  const source = former?.opType === 'Reshape' ? former.input[0]! : gate
  const known = graph.shapes.get(source)?.dims
  const plain = known?.length === 2 && known[0] === -1 && known[1] === count
  const name = plain ? source : graph.node('Reshape', [gate, graph.integers(flat.dims)], { shape: flat })
  return { node, experts, gate: name, width: graph.shapes.get(experts[0]!)!.dims[1]! }
}

/** The tensors [batch, H] that a stack was made of. */
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

function mixPlain(graph: Graph, mixtures: Mixture[]): void {
  const [{ experts, width }] = mixtures as [Mixture]
  const mixed = mix(graph, experts, width, mixtures) // [batch, T·H]
  const outputs = takeApart(
    graph,
    mixed,
    mixtures.map(() => width),
  )
  mixtures.forEach(({ node }, t) => {
    substitute(graph, node, outputs[t]!)
  })
}

/** Merges the experts' last layer and the towers' first; false, and nothing changed, where they aren't or it doesn't pay. */
function mixThrough(graph: Graph, mixtures: Mixture[]): boolean {
  const [{ experts, width }] = mixtures as [Mixture]
  if (mixtures.length > mostTasksThrough) return false
  const nodes = new Set(mixtures.map(({ node }) => node))
  const last = experts.map((name) => graph.producer(name))
  if (!last.every((node) => isGemm(graph, node)) || !mixtures.every(({ gate }) => isSoftmax(graph, gate))) return false
  if (!experts.every((name) => isMixedAlone(graph, name, nodes))) return false
  const towers = mixtures.map(({ node }) => towersOf(graph, node.output[0]!))
  const first = towers.filter((gemms) => gemms !== undefined)
  if (first.length < towers.length) return false

  const members = last.map((gemm) => weightsOf(graph, gemm!))
  const heads = first.map((gemms) => gemms.map((gemm) => weightsOf(graph, gemm)))
  const columns = heads.flat().reduce((sum, { n }) => sum + n, 0)
  const inner = members.reduce((sum, { k }) => sum + k, 0)
  if (inner * columns > inner * width + width * columns) return false

  const joined = new Float32Array(width * columns)
  const shift = new Float32Array(columns)
  let column = 0
  for (const { n, w, b } of heads.flat()) {
    for (let i = 0; i < width; i++) joined.set(w.subarray(i * n, (i + 1) * n), i * columns + column)
    shift.set(b, column)
    column += n
  }
  const folded = members.map(({ k, w, b }, e) => {
    const weights = Float32Array.from(multiply(w, joined, k, width, columns))
    const bias = Float32Array.from(multiply(b, joined, 1, width, columns), (value, j) => value + shift[j]!)
    const name = last[e]!.input[1]!
    const names = [graph.constant(`${name}/through`, weights, [k, columns])]
    names.push(graph.constant(`${name}/through_bias`, bias, [columns]))
    return graph.node('Gemm', [last[e]!.input[0]!, ...names], { shape: floatShape(-1, columns) })
  })
  // Every task's gate mixes every task's columns; each then takes its own.
  const mixed = mix(graph, folded, columns, mixtures) // [batch, T·columns]
  const sizes = mixtures.flatMap(() => heads.flatMap((tasks) => tasks.map(({ n }) => n)))
  const outputs = takeApart(graph, mixed, sizes)
  const perTask = heads.flat().length
  let place = 0
  first.forEach((gemms, t) => {
    gemms.forEach((gemm) => {
      const old = gemm.output[0]!
      graph.nodes.splice(graph.nodes.indexOf(gemm), 1)
      graph.touch()
      graph.replace(old, outputs[t * perTask + place]!)
      place++
    })
  })
  return true
}

/** [batch, T, E]·[batch, E, width] → [batch, T·width] */
function mix(graph: Graph, experts: string[], width: number, mixtures: Mixture[]): string {
  const [tasks, count] = [mixtures.length, experts.length]
  const row = graph.node('Concat', experts, { attributes: { axis: 1 }, shape: floatShape(-1, count * width) })
  const stack = reshape(graph, row, count, width)
  const product = graph.node('MatMul', [gatesOf(graph, mixtures, count), stack], {
    shape: floatShape(-1, tasks, width),
  })
  return reshape(graph, product, tasks * width)
}

/** All tasks' gates, [batch, T, E]: one product and one softmax, where they read the same. */
function gatesOf(graph: Graph, mixtures: Mixture[], count: number): string {
  const tasks = mixtures.length
  const softmaxes = mixtures.map(({ gate }) => graph.producer(gate))
  const gemms = softmaxes.map((node) => (node?.opType === 'Softmax' ? graph.producer(node.input[0]!) : undefined))
  const plain = mixtures.every(({ gate }) => isSoftmax(graph, gate))
  const [first] = gemms
  if (plain && gemms.every((gemm) => isGemm(graph, gemm) && gemm.input[0] === first?.input[0])) {
    const members = gemms.map((gemm) => weightsOf(graph, gemm!))
    const { k } = members[0]!
    const weights = new Float32Array(k * tasks * count)
    const bias = new Float32Array(tasks * count)
    members.forEach(({ w, b }, t) => {
      for (let i = 0; i < k; i++) weights.set(w.subarray(i * count, (i + 1) * count), i * tasks * count + t * count)
      bias.set(b, t * count)
    })
    const names = [
      graph.constant('gates/kernel', weights, [k, tasks * count]),
      graph.constant('gates/bias', bias, [tasks * count]),
    ]
    const logits = graph.node('Gemm', [first!.input[0]!, ...names], { shape: floatShape(-1, tasks * count) })
    const shaped = reshape(graph, logits, tasks, count)
    return graph.node('Softmax', [shaped], { attributes: { axis: 2 }, shape: floatShape(-1, tasks, count) })
  }
  const gates = mixtures.map(({ gate }) => gate)
  const row =
    tasks === 1
      ? gates[0]!
      : graph.node('Concat', gates, { attributes: { axis: 1 }, shape: floatShape(-1, tasks * count) })
  return reshape(graph, row, tasks, count)
}

function takeApart(graph: Graph, row: string, sizes: number[]): string[] {
  if (sizes.length === 1) return [row]
  return graph.nodeOf('Split', [row, graph.integers(sizes)], sizes.length, {
    attributes: { axis: 1 },
    shapes: sizes.map((n) => floatShape(-1, n)),
  })
}

function reshape(graph: Graph, name: string, ...sides: number[]): string {
  return graph.node('Reshape', [name, graph.integers([-1, ...sides])], { shape: floatShape(-1, ...sides) })
}

/** Puts `mixed` [batch, H] in the place of a mixture's output, whatever its shape. */
function substitute(graph: Graph, node: NodeProto, mixed: string): void {
  const [output] = node.output
  const { dims } = graph.shapes.get(output!)!
  const shaped = dims.length === 2 ? mixed : reshape(graph, mixed, ...dims.slice(1))
  graph.nodes.splice(graph.nodes.indexOf(node), 1)
  graph.touch()
  graph.replace(output!, shaped)
}

/** The products that read a mixture, if they are all that do. */
function towersOf(graph: Graph, name: string): NodeProto[] | undefined {
  if (graph.isOutput(name)) return undefined
  const gemms: NodeProto[] = []
  for (const user of graph.users(name)) {
    if (user.opType === 'Reshape' && graph.shapes.get(user.output[0]!)?.dims.length === 2) {
      const inner = towersOf(graph, user.output[0]!)
      if (inner === undefined) return undefined
      gemms.push(...inner)
    } else if (isGemm(graph, user) && user.input[0] === name) gemms.push(user)
    else return undefined
  }
  return gemms.length > 0 ? gemms : undefined
}

/** Whether an expert is read by these mixtures alone, through Reshape, Concat and Transpose. */
function isMixedAlone(graph: Graph, name: string, mixtures: Set<NodeProto>): boolean {
  if (graph.isOutput(name)) return false
  return graph.users(name).every((user) => {
    if (mixtures.has(user)) return true
    const passes = ['Reshape', 'Concat', 'Transpose', 'Mul'].includes(user.opType)
    return passes && isMixedAlone(graph, user.output[0]!, mixtures)
  })
}

/** Whether the weights of a gate add up to 1. */
function isSoftmax(graph: Graph, gate: string): boolean {
  const node = graph.producer(gate)
  if (node?.opType !== 'Softmax' || graph.shapes.get(gate)?.dims.length !== 2) return false
  return positive(intAttribute(node, 'axis', -1), 2) === 1
}

function equal(a: readonly number[] | undefined, b: readonly number[]): boolean {
  return a !== undefined && a.length === b.length && a.every((value, i) => value === b[i])
}
