import { isGemm, weightsOf } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import { floatShape } from '../ir/tensor-shape.ts'
import { mixingNode, segmentsOf } from './columns.ts'
import { cutRegions } from './cut-regions.ts'
import { features, rowIndexes, rowsOf } from './side-columns.ts'
import {
  assemble,
  contextsOf,
  knownSum,
  layerWidth,
  ofRequest,
  partsOf,
  type Reads,
  readsOf,
  readsSide,
  regionsRead,
  type SplitOptions,
} from './side-graphs.ts'
import type { CutGraph, Emitter, FirstLayer, Group, Sides, SplitGraphs, VariantGraph } from './split-graphs.ts'
import { planNames } from './tensor-names.ts'

/**
 * Splits a graph by side.
 *
 * Tensors that depend on the context alone are computed once per request, and those that depend on the candidate alone
 * can be cached across requests, at any depth. So are the shares of the products that combine them: `x·W + b =
 * context·W₁ + candidate·W₂ + cross·W₃ + b`. Returns a reason if the graph can't be split.
 */
export function splitSides(graph: Graph, sides: Sides): SplitGraphs | string {
  const cut = cutRegions(graph, sides)
  if (typeof cut === 'string') return cut
  const layers = firstLayers(cut.rest)
  return splitLayers({ cut, layers, emitter: floatEmitter(cut) })
}

/** That there are no products of features, and the node that comes between. */
export function withoutProducts(graph: Graph): string {
  const reason = 'no product of features was found'
  const first = graph.nodes.find((node) => isGemm(graph, node))
  const mixing = first && mixingNode(graph, first.input[0]!)
  if (mixing === undefined) return reason
  return `${reason}: ${mixing.opType} ${mixing.name || mixing.output[0]} mixes columns before the first product; export the graph so that a product of matrices reads the fields side by side (docs/compiler.md#export-for-speed)`
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

/** The products of features in regions. */
export function regionalLayers({ whole, rest, regions }: CutGraph): FirstLayer[] {
  if (regions.size === 0) return []
  const others = new Set(rest.nodes.flatMap(({ output }) => output))
  return firstLayers(whole).filter(({ output }) => !others.has(output))
}

/** The variants of a cut graph; returns a reason if it can't be split. */
export function splitLayers(options: SplitOptions): SplitGraphs | string {
  const { cut, layers, emitter } = options
  const { sides, regions } = cut
  const reads = readsOf(cut, layers)
  if (layers.length === 0 && regions.size === 0 && !readsLists(cut, reads)) return withoutProducts(cut.rest)
  const shared_context = cut.read.has('context') ? assemble(options, emitter.shared_context) : undefined
  if (typeof shared_context === 'string') return shared_context

  // A product of the candidate alone that is no region is cheaper to compute than to keep.
  const isOfCandidate = (layer: FirstLayer) => !readsSide(layer, sides, 'context') && !readsSide(layer, sides, 'cross')
  // The cached variant gets parts of each row's candidate and context; kept parts come first. It computes lists of the
  // context itself: they meet rows without being repeated for each.
  const read = regionsRead(cut, reads)
  const isList = (input: string) => cut.whole.shapes.get(cut.regions.get(input)!)!.dims.length > 2
  const ofSide = (side: 'candidate' | 'context') => [
    ...layers.filter((layer) => readsSide(layer, sides, side) && !isOfCandidate(layer)),
    ...read.filter((input) => sides[input]![0] === side && (side === 'candidate' || !isList(input))),
  ]
  const kept = ofSide('candidate')
  if (kept.length === 0)
    return { shared_context, candidate_encoder: undefined, context_encoder: undefined, cached: undefined, layers: [] }
  const given = [...new Set([...kept, ...ofSide('context')])]
  const sum = (plan: VariantGraph, layer: FirstLayer | string) => {
    const index = given.indexOf(layer)
    return index < 0 ? undefined : knownSum(plan, index, layerWidth(cut, layer))
  }
  const cached = assemble(
    options,
    (plan, group) =>
      isOfCandidate(group[0])
        ? emitter.shared_context(plan, group)
        : emitter.cached(plan, group, (layer) => sum(plan, layer)),
    (plan, input) => sum(plan, input),
  )
  if (typeof cached === 'string') return cached
  const contexts = contextsOf(options, ofSide('context'))
  return {
    shared_context,
    candidate_encoder: partsOf(options, kept),
    context_encoder: contexts?.plan,
    cached,
    layers: given.map((layer, i) => ({
      width: layerWidth(cut, layer),
      kept: i < kept.length,
      relu: takeRelu(cached.graph, planNames.sum(i)),
      context: contexts?.columns.get(layer) ?? -1,
    })),
  }
}

/** Whether nodes read lists of the context, such as the keys of attention: they are looked up once a request. */
function readsLists({ rest, sides, features }: CutGraph, reads: Reads): boolean {
  return [...reads.features].some((name) => {
    const segments = features.rest(name)!
    const isOfContext = segments.every(({ input, columns }) => columns.every((i) => sides[input]![i] === 'context'))
    return isOfContext && rest.shapes.get(name)!.dims.length > 2
  })
}

function floatEmitter({ rest, sides }: CutGraph): Emitter {
  const biasesOf = (plan: VariantGraph, group: Group) =>
    group.map(({ gemm }) => {
      const { n, b } = weightsOf(rest, gemm)
      return plan.graph.constant('bias', b, [n])
    })
  return {
    shared_context(plan, group) {
      const biases = readsSide(group[0], sides, 'context')
        ? contextOf(plan, rest, group, sides).map((sums) => ofRequest(plan, sums))
        : biasesOf(plan, group)
      const x = features(plan, group[0].segments, sides, ['candidate', 'cross'])
      return group.map(({ gemm, segments }, i) => {
        const w = rowsOf(rest, gemm, segments, sides, ['candidate', 'cross'])
        const name = plan.graph.constant(`${gemm.input[1]}/rows`, w.data, w.dims)
        return plan.graph.node('Gemm', [x, name, biases[i]!], { shape: floatShape(-1, w.dims[1]!) })
      })
    },
    context_encoder: (plan, group) => contextOf(plan, rest, group, sides),
    cached(plan, group, sumOf) {
      const biases = readsSide(group[0], sides, 'context') ? undefined : biasesOf(plan, group)
      const crossed = rowIndexes(group[0].segments, sides, ['cross']).length > 0
      const x = crossed ? features(plan, group[0].segments, sides, ['cross']) : undefined
      return group.map((layer, i) => {
        const shape = floatShape(-1, weightsOf(rest, layer.gemm).n)
        const sum = sumOf(layer)
        const start =
          sum !== undefined && biases !== undefined
            ? plan.graph.node('Add', [sum, biases[i]!], { shape })
            : (sum ?? biases![i]!)
        if (x === undefined) return start
        const w = rowsOf(rest, layer.gemm, layer.segments, sides, ['cross'])
        const name = plan.graph.constant(`${layer.gemm.input[1]}/cross`, w.data, w.dims)
        return plan.graph.node('Gemm', [x, name, start], { shape })
      })
    },
    candidate_encoder(plan, group) {
      const x = features(plan, group[0].segments, sides, ['candidate'])
      return group.map(({ gemm, segments }) => {
        const w = rowsOf(rest, gemm, segments, sides, ['candidate'])
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

/** Removes a ReLU if it is the only user of an input; returns whether it did. */
function takeRelu(graph: Graph, input: string): boolean {
  const [relu, ...more] = graph.users(input)
  if (relu?.opType !== 'Relu' || more.length > 0 || graph.isOutput(input)) return false
  graph.nodes.splice(graph.nodes.indexOf(relu), 1)
  graph.touch()
  graph.replace(relu.output[0]!, input)
  return true
}
