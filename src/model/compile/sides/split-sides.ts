import { segmentsOf } from '../../graph/columns.ts'
import { isGemm, weightsOf } from '../../graph/gemm.ts'
import type { Graph } from '../../graph/graph.ts'
import { floatShape } from '../../graph/tensor-shape.ts'
import { repeatContexts } from './context-nodes.ts'
import type { Emit, FirstLayer, Group, Side, Sides, SplitGraphs, VariantGraph } from './contract.ts'
import { features, rowIndexes, rowsOf } from './side-columns.ts'
import { assemble, contextsOf, knownSum, ofRequest, partsOf, readsContext, takeRelu } from './side-graphs.ts'
import { planNames } from './tensor-names.ts'

/**
 * Splits the first layer by side: `x·W + b = context·W₁ + candidate·W₂ + cross·W₃ + b`.
 *
 * The first product is computed once per request and added as a bias; the second can be cached across requests. Every product
 * that reads features directly is split; returns a reason if other nodes read features.
 */
export function splitSides(graph: Graph, sides: Sides): SplitGraphs | string {
  const layers = firstLayers(graph)
  return splitLayers(graph, layers, sides, floatEmitter(graph, layers, sides))
}

/** All products of features. */
export function firstLayers(graph: Graph): FirstLayer[] {
  const layers: FirstLayer[] = []
  for (const gemm of graph.nodes) {
    if (!isGemm(graph, gemm)) continue
    const segments = segmentsOf(graph, gemm.input[0]!)
    if (segments !== undefined) layers.push({ gemm, segments, output: gemm.output[0]! })
  }
  return layers
}

/** Computes the first layers of each variant, in float32 or int8. */
export interface Emitter {
  shared_context: Emit
  cached: Emit
  candidate_encoder: Emit
  /** Groups that read nothing but the context: their products, [requests, width]; absent where they can't be split. */
  context?: Emit
  /** Called only for groups that read the context. */
  context_encoder: Emit
}

/** Splits the first layers; returns a reason if that is impossible. */
export function splitLayers(graph: Graph, layers: FirstLayer[], sides: Sides, emit: Emitter): SplitGraphs | string {
  if (layers.length === 0) return 'no product of features was found'
  for (const { input, columns } of layers.flatMap(({ segments }) => segments))
    if (columns.some((c) => sides[input]?.[c] === undefined)) return `the sides of the input ${input} are not known`
  const has = (side: Side) =>
    layers.some(({ segments }) => segments.some(({ input, columns }) => columns.some((c) => sides[input]![c] === side)))
  if (!has('context') && !has('candidate')) return 'no field belongs only to the context or only to the candidate'
  if (!has('candidate') && !has('cross')) return 'every field belongs to the context'
  const isContext = ({ segments }: FirstLayer) =>
    segments.every(({ input, columns }) => columns.every((c) => sides[input]![c] === 'context'))
  const only = layers.find(isContext)
  if (only !== undefined && emit.context === undefined) return `the product ${only.gemm.name} reads only the context`

  const shared_context = has('context') ? assembleShared(graph, layers, isContext, emit) : undefined
  if (typeof shared_context === 'string') return shared_context
  // Every first layer must have a cacheable part: then the candidate's columns are read nowhere else.
  const everywhere = layers.every(({ segments }) =>
    segments.some(({ input, columns }) => columns.some((c) => sides[input]![c] === 'candidate')),
  )
  if (!has('candidate') || !everywhere)
    return { shared_context, candidate_encoder: undefined, context_encoder: undefined, cached: undefined, layers: [] }
  const cached = assemble(graph, layers, emit.cached)
  if (typeof cached === 'string') return cached
  const contexts = contextsOf(graph, layers, sides, emit.context_encoder)
  return {
    shared_context,
    candidate_encoder: partsOf(graph, layers, emit.candidate_encoder),
    context_encoder: contexts?.plan,
    cached,
    layers: layers.map((layer, i) => ({
      width: weightsOf(graph, layer.gemm).n,
      relu: takeRelu(cached.graph, planNames.sum(i)),
      context: contexts?.columns.get(layer) ?? -1,
    })),
  }
}

/** The variant of a shared context: what depends on the context alone is computed once per request. */
function assembleShared(
  graph: Graph,
  layers: FirstLayer[],
  isContext: (layer: FirstLayer) => boolean,
  emit: Emitter,
): VariantGraph | string {
  const contexts: string[] = []
  const plan = assemble(graph, layers, (plan, group) => {
    if (!isContext(group[0])) return emit.shared_context(plan, group)
    const products = emit.context!(plan, group)
    contexts.push(...products)
    return products
  })
  if (typeof plan !== 'string' && contexts.length > 0) repeatContexts(plan, contexts)
  return plan
}

function floatEmitter(whole: Graph, layers: FirstLayer[], sides: Sides): Emitter {
  const biasesOf = (plan: VariantGraph, group: Group) =>
    group.map(({ gemm }) => {
      const { n, b } = weightsOf(whole, gemm)
      return plan.graph.constant('bias', b, [n])
    })
  return {
    shared_context(plan, group) {
      const biases = readsContext(group, sides)
        ? contextOf(plan, whole, group, sides).map((sums) => ofRequest(plan, sums))
        : biasesOf(plan, group)
      const x = features(plan, group[0].segments, sides, ['candidate', 'cross'])
      return group.map(({ gemm, segments }, i) => {
        const w = rowsOf(whole, gemm, segments, sides, ['candidate', 'cross'])
        const name = plan.graph.constant(`${gemm.input[1]}/rows`, w.data, w.dims)
        return plan.graph.node('Gemm', [x, name, biases[i]!], { shape: floatShape(-1, w.dims[1]!) })
      })
    },
    context: (plan, group) => contextOf(plan, whole, group, sides),
    context_encoder: (plan, group) => contextOf(plan, whole, group, sides),
    cached(plan, group) {
      const biases = readsContext(group, sides) ? undefined : biasesOf(plan, group)
      const crossed = rowIndexes(group[0].segments, sides, ['cross']).length > 0
      const x = crossed ? features(plan, group[0].segments, sides, ['cross']) : undefined
      return group.map((layer, i) => {
        const { n } = weightsOf(whole, layer.gemm)
        const shape = floatShape(-1, n)
        let sum = knownSum(plan, layers.indexOf(layer), n)
        if (biases) sum = plan.graph.node('Add', [sum, biases[i]!], { shape })
        if (x === undefined) return sum
        const w = rowsOf(whole, layer.gemm, layer.segments, sides, ['cross'])
        const name = plan.graph.constant(`${layer.gemm.input[1]}/cross`, w.data, w.dims)
        return plan.graph.node('Gemm', [x, name, sum], { shape })
      })
    },
    candidate_encoder(plan, group) {
      const x = features(plan, group[0].segments, sides, ['candidate'])
      return group.map(({ gemm, segments }) => {
        const w = rowsOf(whole, gemm, segments, sides, ['candidate'])
        const name = plan.graph.constant(`${gemm.input[1]}/candidate`, w.data, w.dims)
        return plan.graph.node('Gemm', [x, name], { shape: floatShape(-1, w.dims[1]!) })
      })
    },
  }
}

/** Per layer of a group that reads the context, the bias plus the context's product: [requests, width]. */
function contextOf(plan: VariantGraph, whole: Graph, group: Group, sides: Sides): string[] {
  const { graph } = plan
  const members = group.map(({ gemm }) => weightsOf(whole, gemm))
  const [{ segments }] = group
  const x = features(plan, segments, sides, ['context'])
  const width = members.reduce((sum, { n }) => sum + n, 0)
  const bias = new Float32Array(width)
  let k = 0
  let weights = new Float32Array(0)
  let column = 0
  group.forEach(({ gemm }, i) => {
    const { data, dims } = rowsOf(whole, gemm, segments, sides, ['context'])
    const n = dims[1]!
    if (i === 0) {
      k = dims[0]!
      weights = new Float32Array(k * width)
    }
    for (let row = 0; row < k; row++) weights.set(data.subarray(row * n, (row + 1) * n), row * width + column)
    bias.set(members[i]!.b, column)
    column += n
  })
  const names = [graph.constant('context/kernel', weights, [k, width]), graph.constant('context/bias', bias, [width])]
  const sum = graph.node('Gemm', [x, ...names], { shape: floatShape(1, width) })
  if (group.length === 1) return [sum]
  const sizes = members.map(({ n }) => n)
  return graph.nodeOf('Split', [sum, graph.integers(sizes)], sizes.length, {
    attributes: { axis: 1 },
    shapes: sizes.map((n) => floatShape(1, n)),
  })
}
