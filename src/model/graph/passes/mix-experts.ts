import { equal, positive } from '../../../base/arrays.ts'
import { intAttribute } from '../ir/attributes.ts'
import { addGemm, isGemm, sideBySide, takeApart, weightsOf } from '../ir/gemm.ts'
import type { Graph, Left } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { floatShape } from '../ir/tensor-shape.ts'
import { canonicalise } from './canonicalise.ts'
import { multiply } from './fold-linear.ts'
import { findMixtures, type Mixture } from './mixtures.ts'

/** With more tasks, mixing all tasks' columns by all gates costs too much, since each task needs only its own. */
const mostTasksThrough = 4

/**
 * Mixtures of the same experts → one batched product, [batch, T, E]·[batch, E, H], whether they were written as a
 * product by a column or a row, or as a product and a sum.
 *
 * A mixture is linear in its experts. If these end in a linear layer and the towers begin with one, the two are merged,
 * `Σ_e g_e·(h_e·W_e + b_e)·W_t + b_t = Σ_e g_e·(h_e·(W_e·W_t) + (b_e·W_t + b_t))`, since softmax
 * weights add up to 1, if that takes fewer multiplications.
 *
 * Returns the number of mixtures that were rewritten.
 */
export function mixExperts(graph: Graph, left: Left): number {
  const done = new Set<NodeProto>()
  let rewritten = 0
  for (;;) {
    left.clear()
    const mixtures = findMixtures(graph, done, left)
    if (mixtures.length === 0) break
    const mixed = mixThrough(graph, mixtures) ?? mixPlain(graph, mixtures)
    done.add(graph.producer(mixed)!)
    // Other mixtures may read these results, and are recognised in canonical form.
    canonicalise(graph, new Map())
    rewritten += mixtures.length
  }
  graph.tidy()
  return rewritten
}

/** Returns the product's name. */
function mixPlain(graph: Graph, mixtures: Mixture[]): string {
  const [{ experts, width }] = mixtures as [Mixture]
  const { product, row } = mix(graph, experts, width, mixtures) // row: [batch, T·H]
  const outputs = takeApart(
    graph,
    row,
    mixtures.map(() => width),
  )
  mixtures.forEach(({ node }, t) => {
    substitute(graph, node, outputs[t]!)
  })
  return product
}

/**
 * Merges the experts' last layer and the towers' first. Returns the product's name; undefined, without a change, if
 * they do not exist or merging takes more multiplications.
 */
function mixThrough(graph: Graph, mixtures: Mixture[]): string | undefined {
  const [{ experts, width }] = mixtures as [Mixture]
  if (mixtures.length > mostTasksThrough) return undefined
  const nodes = new Set(mixtures.map(({ node }) => node))
  const last = experts.map((name) => graph.producer(name))
  if (!last.every((node) => isGemm(graph, node)) || !mixtures.every(({ gate }) => isSoftmax(graph, gate)))
    return undefined
  if (!experts.every((name) => isMixedAlone(graph, name, nodes))) return undefined
  const towers = mixtures.map(({ node }) => towersOf(graph, node.output[0]!, width))
  const first = towers.filter((gemms) => gemms !== undefined)
  if (first.length < towers.length) return undefined

  const members = last.map((gemm) => weightsOf(graph, gemm!))
  const heads = first.map((gemms) => gemms.map((gemm) => weightsOf(graph, gemm)))
  const columns = heads.flat().reduce((sum, { n }) => sum + n, 0)
  const inner = members.reduce((sum, { k }) => sum + k, 0)
  if (inner * columns > inner * width + width * columns) return undefined

  const { w: joined, b: shift } = sideBySide(heads.flat())
  const folded = members.map(({ k, w, b }, e) => {
    const weights = Float32Array.from(multiply(w, joined, k, width, columns))
    const bias = Float32Array.from(multiply(b, joined, 1, width, columns), (value, j) => value + shift[j]!)
    const name = last[e]!.input[1]!
    const names = [graph.constant(`${name}/through`, weights, [k, columns])]
    names.push(graph.constant(`${name}/through_bias`, bias, [columns]))
    return graph.node('Gemm', [last[e]!.input[0]!, ...names], { shape: floatShape(-1, columns) })
  })
  // Every gate mixes the columns of every task; each task then selects its own.
  const { product, row } = mix(graph, folded, columns, mixtures) // row: [batch, T·columns]
  const sizes = mixtures.flatMap(() => heads.flatMap((tasks) => tasks.map(({ n }) => n)))
  const outputs = takeApart(graph, row, sizes)
  const perTask = heads.flat().length
  let place = 0
  first.forEach((gemms, t) => {
    gemms.forEach((gemm) => {
      graph.bypass(gemm, outputs[t * perTask + place]!)
      place++
    })
  })
  return product
}

/** [batch, T, E]·[batch, E, width] → [batch, T·width] */
function mix(graph: Graph, experts: string[], width: number, mixtures: Mixture[]): { product: string; row: string } {
  const [tasks, count] = [mixtures.length, experts.length]
  const joined = graph.node('Concat', experts, { attributes: { axis: 1 }, shape: floatShape(-1, count * width) })
  const stack = reshape(graph, joined, count, width)
  const product = graph.node('MatMul', [gatesOf(graph, mixtures, count), stack], {
    shape: floatShape(-1, tasks, width),
  })
  return { product, row: reshape(graph, product, tasks * width) }
}

/** All tasks' gates, [batch, T, E]: one product and one softmax if they read the same tensor. */
function gatesOf(graph: Graph, mixtures: Mixture[], count: number): string {
  const tasks = mixtures.length
  const softmaxes = mixtures.map(({ gate }) => graph.producer(gate))
  const gemms = softmaxes.map((node) => (node?.opType === 'Softmax' ? graph.producer(node.input[0]!) : undefined))
  const plain = mixtures.every(({ gate }) => isSoftmax(graph, gate))
  const [first] = gemms
  if (plain && gemms.every((gemm) => isGemm(graph, gemm) && gemm.input[0] === first?.input[0])) {
    const weights = sideBySide(gemms.map((gemm) => weightsOf(graph, gemm!)))
    const logits = addGemm(graph, first!.input[0]!, 'gates', weights)
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

function reshape(graph: Graph, name: string, ...sides: number[]): string {
  return graph.node('Reshape', [name, graph.integers([-1, ...sides])], { shape: floatShape(-1, ...sides) })
}

/** Replaces a mixture's output, of any shape, by `mixed` [batch, H]. */
function substitute(graph: Graph, node: NodeProto, mixed: string): void {
  const { dims } = graph.shapes.get(node.output[0]!)!
  graph.bypass(node, dims.length === 2 ? mixed : reshape(graph, mixed, ...dims.slice(1)))
}

/** The products that read a mixture, if only products do. */
function towersOf(graph: Graph, name: string, width: number): NodeProto[] | undefined {
  if (graph.isOutput(name)) return undefined
  const gemms: NodeProto[] = []
  for (const user of graph.users(name)) {
    if (user.opType === 'Reshape' && equal(graph.shapes.get(user.output[0]!)?.dims, [-1, width])) {
      const inner = towersOf(graph, user.output[0]!, width)
      if (inner === undefined) return undefined
      gemms.push(...inner)
    } else if (isGemm(graph, user) && user.input[0] === name) gemms.push(user)
    else return undefined
  }
  return gemms.length > 0 ? gemms : undefined
}

/** Whether only these mixtures read an expert, through Reshape, Concat and Transpose. */
function isMixedAlone(graph: Graph, name: string, mixtures: Set<NodeProto>): boolean {
  if (graph.isOutput(name)) return false
  return graph.users(name).every((user) => {
    if (mixtures.has(user)) return true
    const passes = ['Reshape', 'Concat', 'Transpose', 'Mul', 'MatMul'].includes(user.opType)
    return passes && isMixedAlone(graph, user.output[0]!, mixtures)
  })
}

/** Whether the weights of a gate add up to 1. */
function isSoftmax(graph: Graph, gate: string): boolean {
  const node = graph.producer(gate)
  if (node?.opType !== 'Softmax' || graph.shapes.get(gate)?.dims.length !== 2) return false
  return positive(intAttribute(node, 'axis', -1), 2) === 1
}
