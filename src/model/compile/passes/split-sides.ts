import { type Segment, segmentsOf } from '../columns.ts'
import { isGemm, weightsOf } from '../gemm.ts'
import { declare, floatShape, type Graph } from '../graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../onnx_pb.ts'
import { planNames } from '../plan-names.ts'
import { features, rowIndexes, rowsOf } from '../side-columns.ts'

export type Side = 'context' | 'candidate' | 'cross'

/** Per input of the graph the side of each of its columns. */
export type Sides = Record<string, readonly Side[]>

/** Columns of one input of the saved graph that a plan takes as one input of its own, [rows, columns]. */
export interface PackedInput {
  name: string
  input: string
  columns: number[]
}

export interface PlanGraph {
  graph: Graph
  /** What belongs to the request: a row for each. */
  context: PackedInput[]
  /** What belongs to each row. */
  rows: PackedInput[]
  /** What took the place of each first layer's output. */
  replaced: Map<FirstLayer, string>
}

/** A graph, its first layer taken apart by side. */
export interface SplitGraphs {
  /** Requests' rows, all computed: context [requests, …], rows [rows, …], `planNames.requests`; if there are context columns. */
  fresh: PlanGraph | undefined
  /** The candidates' part of the first layer: outputs `planNames.part(…)` [rows, width], one a layer; if there are candidate columns. */
  parts: PlanGraph | undefined
  /**
   * Requests' rows, of which these parts are known: inputs as of `fresh`, without the candidates' columns, `planNames.slab(…)`
   * [slots, width] and `slots` int32 [rows], which slot is each row's; if there are candidate columns.
   */
  known: PlanGraph | undefined
  widths: number[]
}

/** A first product of features: reads nothing but columns of the inputs. */
export interface FirstLayer {
  gemm: NodeProto
  segments: Segment[]
  /** The tensor that a plan computes in another way: the product, or what is made of it at once. */
  output: string
}

/** Products that read the same features. */
export type Group = [FirstLayer, ...FirstLayer[]]

/** Adds to a plan what takes the place of each layer's `output`; answers the names. */
export type Emit = (plan: PlanGraph, group: Group) => string[]

/**
 * The first layer by side: `x·W + b = context·W₁ + candidate·W₂ + cross·W₃ + b`.
 *
 * The first product is computed once a request and added as a bias, the second can be kept from request to request. Every
 * product that reads features directly is taken apart; answers the reason where something else reads them.
 */
export function splitSides(graph: Graph, sides: Sides): SplitGraphs | string {
  const layers = firstLayers(graph)
  return splitLayers(graph, layers, sides, floatEmitter(graph, layers, sides))
}

/** Every product of features. */
export function firstLayers(graph: Graph): FirstLayer[] {
  const layers: FirstLayer[] = []
  for (const gemm of graph.nodes) {
    if (!isGemm(graph, gemm)) continue
    const segments = segmentsOf(graph, gemm.input[0]!)
    if (segments !== undefined) layers.push({ gemm, segments, output: gemm.output[0]! })
  }
  return layers
}

/** How a kind of arithmetic computes the first layers of each plan. */
export interface Emitter {
  fresh: Emit
  known: Emit
  /** Answers one output a layer. */
  parts: Emit
}

/** Takes the first layers apart; answers a reason where that can't be done. */
export function splitLayers(graph: Graph, layers: FirstLayer[], sides: Sides, emit: Emitter): SplitGraphs | string {
  if (layers.length === 0) return 'no product of features was found'
  for (const { input, columns } of layers.flatMap(({ segments }) => segments))
    if (columns.some((c) => sides[input]?.[c] === undefined)) return `the sides of the input ${input} are not known`
  const has = (side: Side) =>
    layers.some(({ segments }) => segments.some(({ input, columns }) => columns.some((c) => sides[input]![c] === side)))
  if (!has('context') && !has('candidate')) return 'no field belongs to the context or the candidate alone'
  if (!has('candidate') && !has('cross')) return 'every field belongs to the context'
  for (const { gemm, segments } of layers)
    if (segments.every(({ input, columns }) => columns.every((c) => sides[input]![c] === 'context')))
      return `the product ${gemm.name} reads the context alone`

  const fresh = has('context') ? assemble(graph, layers, emit.fresh) : undefined
  if (typeof fresh === 'string') return fresh
  const widths = layers.map(({ gemm }) => weightsOf(graph, gemm).n)
  // Every first layer must have a part to be kept: then the candidate's columns are read nowhere else.
  const everywhere = layers.every(({ segments }) =>
    segments.some(({ input, columns }) => columns.some((c) => sides[input]![c] === 'candidate')),
  )
  if (!has('candidate') || !everywhere) return { fresh, parts: undefined, known: undefined, widths }
  const known = assemble(graph, layers, emit.known)
  if (typeof known === 'string') return known
  known.graph.inputs.push(declare(planNames.slots, { dtype: DataType.INT32, dims: [-1] }))
  widths.forEach((width, i) => {
    known.graph.inputs.push(declare(planNames.slab(i), floatShape(-1, width), 'slots'))
  })
  return { fresh, parts: partsOf(graph, layers, emit.parts), known, widths }
}

function floatEmitter(whole: Graph, layers: FirstLayer[], sides: Sides): Emitter {
  return {
    fresh(plan, group) {
      const biases = contextOf(plan, whole, group, sides)
      const x = features(plan, group[0].segments, sides, ['candidate', 'cross'])
      return group.map(({ gemm, segments }, i) => {
        const w = rowsOf(whole, gemm, segments, sides, ['candidate', 'cross'])
        const name = plan.graph.constant(`${gemm.input[1]}/rows`, w.data, w.dims)
        return plan.graph.node('Gemm', [x, name, biases[i]!], { shape: floatShape(-1, w.dims[1]!) })
      })
    },
    known(plan, group) {
      const biases = contextOf(plan, whole, group, sides)
      const crossed = rowIndexes(group[0].segments, sides, ['cross']).length > 0
      const x = crossed ? features(plan, group[0].segments, sides, ['cross']) : undefined
      return group.map((layer, i) => {
        const { n } = weightsOf(whole, layer.gemm)
        const part = knownPart(plan, layers.indexOf(layer), n)
        let rest = biases[i]!
        if (x !== undefined) {
          const w = rowsOf(whole, layer.gemm, layer.segments, sides, ['cross'])
          const name = plan.graph.constant(`${layer.gemm.input[1]}/cross`, w.data, w.dims)
          rest = plan.graph.node('Gemm', [x, name, rest], { shape: floatShape(-1, n) })
        }
        return plan.graph.node('Add', [part, rest], { shape: floatShape(-1, n) })
      })
    },
    parts(plan, group) {
      const x = features(plan, group[0].segments, sides, ['candidate'])
      return group.map(({ gemm, segments }) => {
        const w = rowsOf(whole, gemm, segments, sides, ['candidate'])
        const name = plan.graph.constant(`${gemm.input[1]}/candidate`, w.data, w.dims)
        return plan.graph.node('Gemm', [x, name], { shape: floatShape(-1, w.dims[1]!) })
      })
    },
  }
}

/** What is kept of each row's candidate for the layer of that number: [rows, width]. */
export function knownPart(plan: PlanGraph, layer: number, width: number): string {
  return plan.graph.node('Gather', [planNames.slab(layer), planNames.slots], {
    attributes: { axis: 0 },
    shape: floatShape(-1, width),
  })
}

/** The graph with its first layers replaced; a reason where the inputs are read elsewhere too. */
export function assemble(whole: Graph, layers: FirstLayer[], emit: Emit): PlanGraph | string {
  const graph = whole.copy()
  const plan: PlanGraph = { graph, context: [], rows: [], replaced: new Map() }
  const former = new Set(graph.inputs.map(({ name }) => name))
  graph.inputs.splice(0)
  for (const group of groupsOf(layers)) {
    const outputs = emit(plan, group)
    group.forEach((layer, i) => {
      const { output } = layer
      plan.replaced.set(layer, outputs[i]!)
      graph.nodes = graph.nodes.filter((node) => node.output[0] !== output)
      graph.touch()
      graph.replace(output, outputs[i]!)
    })
  }
  graph.tidy()
  const declared = new Set(graph.inputs.map(({ name }) => name))
  for (const node of graph.nodes)
    for (const name of node.input)
      if (former.has(name) && !declared.has(name)) return `${node.opType} ${node.name} reads the input ${name} too`
  return plan
}

/** Layers by what they read. */
export function groupsOf(layers: FirstLayer[]): Iterable<Group> {
  const groups = new Map<string, Group>()
  for (const layer of layers) {
    const key = layer.gemm.input[0]!
    const group = groups.get(key)
    if (group) group.push(layer)
    else groups.set(key, [layer])
  }
  return groups.values()
}

/**
 * Per layer of the group its bias, the context's part added: [rows, width], or [1, width] where all rows are of one request; its
 * constant bias where there is no context.
 */
function contextOf(plan: PlanGraph, whole: Graph, group: Group, sides: Sides): string[] {
  const { graph } = plan
  const members = group.map(({ gemm }) => weightsOf(whole, gemm))
  const [{ segments }] = group
  if (rowIndexes(segments, sides, ['context']).length === 0)
    return members.map(({ n, b }) => graph.constant('bias', b, [n]))
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
  const sizes = members.map(({ n }) => n)
  const sums =
    group.length === 1
      ? [sum]
      : graph.nodeOf('Split', [sum, graph.integers(sizes)], sizes.length, {
          attributes: { axis: 1 },
          shapes: sizes.map((n) => floatShape(1, n)),
        })
  return sums.map((sum) => ofRequest(plan, sum))
}

/** What was computed of each request's context, for its rows: [requests, n] → [rows, n], or [1, n] where there is one request. */
export function ofRequest({ graph }: PlanGraph, values: string): string {
  const { requests } = planNames
  if (!graph.inputs.some(({ name }) => name === requests))
    graph.inputs.push(declare(requests, { dtype: DataType.INT32, dims: [-1] }, 'rows_or_1'))
  return graph.node('Gather', [values, requests], { attributes: { axis: 0 }, shape: graph.shapes.get(values)! })
}

function partsOf(whole: Graph, layers: FirstLayer[], emit: Emit): PlanGraph {
  const graph = whole.copy()
  const plan: PlanGraph = { graph, context: [], rows: [], replaced: new Map() }
  graph.inputs.splice(0)
  graph.outputs.splice(0)
  graph.nodes = []
  graph.touch()
  for (const group of groupsOf(layers))
    emit(plan, group).forEach((part, i) => {
      const layer = group[i]!
      const name = planNames.part(layers.indexOf(layer))
      const shape = floatShape(-1, weightsOf(whole, layer.gemm).n)
      graph.node('Identity', [part], { outputs: [name], shape })
      graph.outputs.push(declare(name, shape))
    })
  graph.tidy()
  return plan
}
