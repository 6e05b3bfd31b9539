import { type Segment, segmentsOf } from '../columns.ts'
import { declare, floatShape, type Graph } from '../graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../onnx_pb.ts'
import { isGemm, weightsOf } from './canonicalise.ts'

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
  /** What belongs to the request: one row. */
  context: PackedInput[]
  /** What belongs to each row. */
  rows: PackedInput[]
}

/** A graph, its first layer taken apart by side. */
export interface SplitGraphs {
  /** One request's rows, all computed: context × 1, rows × n. */
  fresh: PlanGraph
  /** The candidates' part of the first layer: outputs `part:0`, `part:1`, … [rows, width]; if there are candidate columns. */
  parts: PlanGraph | undefined
  /**
   * One request's rows, of which these parts are known: inputs `slab:0`, … [slots, width] and `slots` int32 [rows], which
   * slot is each row's; if there are candidate columns.
   */
  known: PlanGraph | undefined
  widths: number[]
}

/** A first product of features: reads nothing but columns of the inputs. */
interface FirstLayer {
  gemm: NodeProto
  segments: Segment[]
}

/**
 * The first layer by side: `x·W + b = context·W₁ + candidate·W₂ + cross·W₃ + b`.
 *
 * The first product is computed once a request and added as a bias, the second can be kept from request to request. Every
 * product that reads features directly is taken apart; answers the reason where something else reads them.
 */
export function splitSides(graph: Graph, sides: Sides): SplitGraphs | string {
  const layers: FirstLayer[] = []
  for (const gemm of graph.nodes) {
    if (!isGemm(graph, gemm)) continue
    const segments = segmentsOf(graph, gemm.input[0]!)
    if (segments !== undefined) layers.push({ gemm, segments })
  }
  if (layers.length === 0) return 'no product of features was found'
  const used = new Set(layers.flatMap(({ segments }) => segments.map(({ input }) => input)))
  for (const name of used) if (sides[name] === undefined) return `the sides of the input ${name} are not known`
  const has = (side: Side) =>
    layers.some(({ segments }) => segments.some(({ input, columns }) => columns.some((c) => sides[input]![c] === side)))
  if (!has('context')) return 'no field belongs to the context'
  if (!has('candidate') && !has('cross')) return 'every field belongs to the context'
  for (const { gemm, segments } of layers)
    if (segments.every(({ input, columns }) => columns.every((c) => sides[input]![c] === 'context')))
      return `the product ${gemm.name} reads the context alone`

  const fresh = assemble(graph, layers, sides, (plan, group, biases) => {
    const x = features(plan, group[0]!.segments, sides, ['candidate', 'cross'])
    return group.map(({ gemm, segments }, i) => {
      const w = rowsOf(graph, gemm, segments, sides, ['candidate', 'cross'])
      const name = plan.graph.constant(`${gemm.input[1]}/rows`, w.data, w.dims)
      return plan.graph.node('Gemm', [x, name, biases[i]!], { shape: floatShape(-1, w.dims[1]!) })
    })
  })
  if (typeof fresh === 'string') return fresh
  const widths = layers.map(({ gemm }) => weightsOf(graph, gemm).n)
  // Every first layer must have a part to be kept: then the candidate's columns are read nowhere else.
  const everywhere = layers.every(({ segments }) =>
    segments.some(({ input, columns }) => columns.some((c) => sides[input]![c] === 'candidate')),
  )
  if (!has('candidate') || !everywhere) return { fresh, parts: undefined, known: undefined, widths }

  const slots = 'slots'
  const known = assemble(graph, layers, sides, (plan, group, biases) => {
    const crossed = group[0]!.segments.some(({ input, columns }) => columns.some((c) => sides[input]![c] === 'cross'))
    const x = crossed ? features(plan, group[0]!.segments, sides, ['cross']) : undefined
    return group.map((layer, i) => {
      const width = weightsOf(graph, layer.gemm).n
      const slab = `slab:${layers.indexOf(layer)}`
      const part = plan.graph.node('Gather', [slab, slots], {
        attributes: { axis: 0 },
        shape: floatShape(-1, width),
      })
      let rest = biases[i]!
      if (x !== undefined) {
        const w = rowsOf(graph, layer.gemm, layer.segments, sides, ['cross'])
        const name = plan.graph.constant(`${layer.gemm.input[1]}/cross`, w.data, w.dims)
        rest = plan.graph.node('Gemm', [x, name, rest], { shape: floatShape(-1, width) })
      }
      return plan.graph.node('Add', [part, rest], { shape: floatShape(-1, width) })
    })
  })
  if (typeof known === 'string') return known
  known.graph.inputs.push(declare(slots, { dtype: DataType.INT32, dims: [-1] }))
  widths.forEach((width, i) => {
    const slab = declare(`slab:${i}`, floatShape(-1, width))
    const type = slab.type?.value
    if (type?.case === 'tensorType') type.value.shape!.dim[0]!.value = { case: 'dimParam', value: 'slots' }
    known.graph.inputs.push(slab)
  })
  return { fresh, parts: partsOf(graph, layers, sides), known, widths }
}

/** The graph with its first layers replaced; a reason where the inputs are read elsewhere too. */
function assemble(
  whole: Graph,
  layers: FirstLayer[],
  sides: Sides,
  replace: (plan: PlanGraph, group: FirstLayer[], biases: string[]) => string[],
): PlanGraph | string {
  const graph = whole.copy()
  const plan: PlanGraph = { graph, context: [], rows: [] }
  const former = new Set(graph.inputs.map(({ name }) => name))
  graph.inputs.splice(0)
  // Layers that read the same features share what makes them.
  const groups = new Map<string, FirstLayer[]>()
  for (const layer of layers) {
    const key = layer.gemm.input[0]!
    groups.set(key, [...(groups.get(key) ?? []), layer])
  }
  for (const group of groups.values()) {
    const outputs = replace(plan, group, contextOf(plan, whole, group, sides))
    group.forEach(({ gemm }, i) => {
      const old = gemm.output[0]!
      graph.nodes = graph.nodes.filter(({ output }) => output[0] !== old)
      graph.touch()
      graph.replace(old, outputs[i]!)
    })
  }
  graph.tidy()
  for (const node of graph.nodes)
    for (const name of node.input)
      if (former.has(name)) return `${node.opType} ${node.name} reads the input ${name} too`
  return plan
}

/** Per layer of the group its bias, the context's part added: [1, width]; its constant bias where there is no context. */
function contextOf(plan: PlanGraph, whole: Graph, group: FirstLayer[], sides: Sides): string[] {
  const { graph } = plan
  const members = group.map(({ gemm }) => weightsOf(whole, gemm))
  const [{ segments }] = group as [FirstLayer]
  const any = segments.some(({ input, columns }) => columns.some((c) => sides[input]![c] === 'context'))
  if (!any) return members.map(({ n, b }) => graph.constant('bias', b, [n]))
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

function partsOf(whole: Graph, layers: FirstLayer[], sides: Sides): PlanGraph {
  const graph = whole.copy()
  const plan: PlanGraph = { graph, context: [], rows: [] }
  graph.inputs.splice(0)
  graph.outputs.splice(0)
  graph.nodes = []
  graph.touch()
  const made = new Map<string, string>()
  layers.forEach(({ gemm, segments }, i) => {
    const key = gemm.input[0]!
    const x = made.get(key) ?? features(plan, segments, sides, ['candidate'])
    made.set(key, x)
    const w = rowsOf(whole, gemm, segments, sides, ['candidate'])
    const shape = floatShape(-1, w.dims[1]!)
    const name = graph.constant(`${gemm.input[1]}/candidate`, w.data, w.dims)
    graph.node('Gemm', [x, name], { outputs: [`part:${i}`], shape })
    graph.outputs.push(declare(`part:${i}`, shape))
  })
  graph.tidy()
  return plan
}

/** Adds what makes the features of these sides, [rows, k], to a plan. */
function features(plan: PlanGraph, segments: Segment[], sides: Sides, wanted: Side[]): string {
  const { graph } = plan
  const isContext = wanted[0] === 'context'
  const batch = isContext ? 1 : -1
  const parts: string[] = []
  let width = 0
  for (const segment of segments) {
    const { input, columns, table, dim } = segment
    const positions = columns.flatMap((column, i) => (wanted.includes(sides[input]![column]!) ? [i] : []))
    if (positions.length === 0) continue
    const picked = positions.map((i) => columns[i]!)
    const packed = pack(plan, input, sides, wanted, picked)
    const values = segment.build(graph, packed, positions)
    const size = positions.length * dim
    width += size
    if (table === undefined) parts.push(values)
    else {
      const rows = graph.node('Gather', [table, values], {
        attributes: { axis: 0 },
        shape: floatShape(batch, positions.length, dim),
      })
      const flat = [batch, size]
      parts.push(graph.node('Reshape', [rows, graph.integers([-1, size])], { shape: floatShape(...flat) }))
    }
  }
  if (parts.length === 1) return parts[0]!
  return graph.node('Concat', parts, { attributes: { axis: 1 }, shape: floatShape(batch, width) })
}

/** The plan's input that holds these columns of a saved input, in this order: [rows, columns]. */
function pack(plan: PlanGraph, input: string, sides: Sides, wanted: Side[], picked: number[]): string {
  const { graph } = plan
  const list = wanted[0] === 'context' ? plan.context : plan.rows
  const name = `${wanted[0] === 'context' ? 'context' : 'rows'}:${input}`
  let packed = list.find((candidate) => candidate.name === name)
  const dtype = graph.shapes.get(input)!.dtype
  if (packed === undefined) {
    const columns = sides[input]!.flatMap((side, column) => (wanted.includes(side) ? [column] : []))
    packed = { name, input, columns }
    list.push(packed)
    const shape = { dtype, dims: [wanted[0] === 'context' ? 1 : -1, columns.length] }
    graph.inputs.push(declare(name, shape))
    graph.shapes.set(name, shape)
  }
  const places = picked.map((column) => packed.columns.indexOf(column))
  if (places.length === packed.columns.length && places.every((place, i) => place === i)) return name
  return graph.node('Gather', [name, graph.integers(places)], {
    attributes: { axis: 1 },
    shape: { dtype, dims: [wanted[0] === 'context' ? 1 : -1, places.length] },
  })
}

/** The rows of a first layer's matrix that these sides' features meet. */
function rowsOf(
  graph: Graph,
  gemm: NodeProto,
  segments: Segment[],
  sides: Sides,
  wanted: Side[],
): { data: Float32Array; dims: number[] } {
  const { n, w } = weightsOf(graph, gemm)
  const rows: number[] = []
  let row = 0
  for (const { input, columns, dim } of segments)
    for (const column of columns) {
      if (wanted.includes(sides[input]![column]!)) for (let i = 0; i < dim; i++) rows.push(row + i)
      row += dim
    }
  const data = new Float32Array(rows.length * n)
  rows.forEach((from, to) => {
    data.set(w.subarray(from * n, (from + 1) * n), to * n)
  })
  return { data, dims: [rows.length, n] }
}
