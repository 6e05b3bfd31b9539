import { product } from '../../../base/arrays.ts'
import { weightsOf } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto, type ValueInfoProto } from '../ir/onnx_pb.ts'
import { declare, floatShape } from '../ir/tensor-shape.ts'
import type { Segment } from './columns.ts'
import { meetRows, repeatForRows } from './meet-rows.ts'
import { countsRows } from './owners.ts'
import { RegionNodes, rowCount, rowShape } from './region-nodes.ts'
import { features, pickColumns, rowIndexes, sideBySide } from './side-columns.ts'
import type { CutGraph, Emit, Emitter, FirstLayer, Group, Side, Sides, VariantGraph } from './split-graphs.ts'
import { planNames } from './tensor-names.ts'
import { tidyVariant } from './tidy-variant.ts'

/*
 * The graph variants that a graph is split into, for any arithmetic of their first layers.
 */

/** A graph to be split, and how its first layers are computed. */
export interface SplitOptions {
  cut: CutGraph
  layers: FirstLayer[]
  /** Sides of the columns of the rest's inputs; default: the cut graph's. */
  sides?: Sides
  emitter: Emitter
}

/**
 * The graph with its first layers replaced; a reason if nodes read the inputs in a way that is not understood. `given`:
 * tensors of regions that are inputs.
 */
export function assemble(
  { cut, layers, emitter, sides = cut.sides }: SplitOptions,
  emit: Emit,
  given?: (plan: VariantGraph, input: string) => string | undefined,
): VariantGraph | string {
  const graph = cut.rest.copy()
  const plan = withRegions(graph, cut, sides, emitter)
  if (given) plan.given = (input) => given(plan, input)
  const former = new Set(graph.inputs.map(({ name }) => name))
  graph.inputs.splice(0)
  const reads = readsOf(cut, layers)
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
  replaceReads(plan, cut, sides, reads)
  tidyVariant(plan)
  const declared = new Set(graph.inputs.map(({ name }) => name))
  for (const node of graph.nodes)
    for (const name of node.input)
      if (former.has(name) && !declared.has(name)) return `${node.opType} ${node.name} reads the input ${name} too`
  return plan
}

/** Reads of features by other nodes than the first layers. */
export interface Reads {
  /** Tensors of the rest that are features. */
  features: Set<string>
  /** Nodes that count rows. */
  counts: Set<NodeProto>
}

export function readsOf({ rest, features, mixed }: CutGraph, layers: readonly FirstLayer[]): Reads {
  const replaced = new Set(layers.map(({ output }) => output))
  const reads: Reads = { features: new Set(), counts: new Set() }
  const seen = new Set<string>()
  const open = [...rest.outputs.map(({ name }) => name), ...mixed.values()]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name) || replaced.has(name)) continue
    seen.add(name)
    const node = rest.producer(name)
    if (features.rest(name) !== undefined) reads.features.add(name)
    else if (node !== undefined && countsRows(rest, node)) reads.counts.add(node)
    else open.push(...(node?.input ?? []))
  }
  return reads
}

/** The regions that are read directly, not by a first layer. */
export function regionsRead({ regions, features }: CutGraph, reads: Reads): string[] {
  const inputs = [...reads.features].flatMap((name) => features.rest(name)!.map(({ input }) => input))
  return [...new Set(inputs)].filter((input) => regions.has(input))
}

function replaceReads(plan: VariantGraph, cut: CutGraph, sides: Sides, reads: Reads): void {
  const { graph } = plan
  const { rest } = cut
  const isShared = (name: string) =>
    cut.features
      .rest(name)!
      .every(({ input, columns }) => columns.every((column) => sides[input]![column] === 'context'))
  // Values of the context come last: then there are rows to be counted.
  const names = [...reads.features].sort((a, b) => Number(isShared(a)) - Number(isShared(b)))
  const shared = new Set<string>()
  for (const name of names) {
    const segments = cut.features.rest(name)!
    const shape = rest.shapes.get(name)!
    const { dtype, dims } = shape
    const isOfContext = isShared(name) && !graph.isOutput(name) && segments.every(({ input }) => !plan.given?.(input))
    const parts = segments.map((segment) =>
      isOfContext ? features(plan, [segment], sides, ['context']) : segmentRows(plan, segment, sides),
    )
    const flat = { dtype, dims: [isOfContext ? 1 : -1, product(dims.slice(1))] }
    const whole = sideBySide(graph, parts, flat)
    const shaped =
      dims.length === 2
        ? whole
        : graph.node('Reshape', [whole, graph.integers(dims)], {
            shape: { dtype, dims: [flat.dims[0]!, ...dims.slice(1)] },
          })
    const value = isOfContext ? ofRequest(plan, shaped) : shaped
    if (isOfContext) {
      graph.shapes.set(value, shape)
      shared.add(value)
    }
    replaceUsers(graph, name, value)
  }
  meetRows(graph, shared, {
    rows: () => rowCount(graph, rowsInput(plan)),
    contexts: () => graph.node('Shape', [planNames.requests], { shape: { dtype: DataType.INT64, dims: [1] } }),
  })
  for (const node of reads.counts) replaceUsers(graph, node.output[0]!, rowShape(graph, rowsInput(plan), rest, node))
}

/** An output keeps its name, and is made of `value`. */
function replaceUsers(graph: Graph, name: string, value: string): void {
  const passed = graph.isOutput(name) ? graph.node('Identity', [value], { shape: graph.shapes.get(name)! }) : value
  graph.replace(name, passed)
}

/** All columns of a segment for each row, [rows, n]. */
function segmentRows(plan: VariantGraph, segment: Segment, sides: Sides): string {
  const { graph } = plan
  const { input, columns, dim } = segment
  const known = plan.given?.(input)
  if (known !== undefined) {
    const picked = pickColumns(graph, known, columns, graph.shapes.get(known)!)
    return segment.build(
      graph,
      picked,
      columns.map((_, i) => i),
    )
  }
  const places = (wanted: Side[]) =>
    columns.flatMap((column, i) => (wanted.includes(sides[input]![column]!) ? [i] : []))
  const [own, shared] = [places(['candidate', 'cross']), places(['context'])]
  const parts: string[] = []
  if (own.length > 0) parts.push(features(plan, [segment], sides, ['candidate', 'cross']))
  if (shared.length > 0) parts.push(repeat(plan, features(plan, [segment], sides, ['context']), shared.length * dim))
  const whole = sideBySide(graph, parts, floatShape(-1, columns.length * dim))
  const order = [...own, ...shared]
  const back = columns.flatMap((_, i) => Array.from({ length: dim }, (_, d) => order.indexOf(i) * dim + d))
  return pickColumns(graph, whole, back, { dtype: DataType.FLOAT, dims: [-1, back.length] })
}

/** [requests, width] → [rows, width] */
function repeat(plan: VariantGraph, values: string, width: number): string {
  const { graph } = plan
  const { dtype } = graph.shapes.get(values) ?? { dtype: DataType.FLOAT }
  const gathered = ofRequest(plan, values) // [1, width] for a single request
  graph.shapes.set(gathered, { dtype, dims: [-1, width] })
  return repeatForRows(graph, gathered, () => rowCount(graph, rowsInput(plan)))
}

/** An input of the variant that has one row per row. */
function rowsInput({ graph, rows }: VariantGraph): string {
  const { requests } = planNames
  const isRows = (name: string) => name !== requests && graph.shapes.get(name)!.dims[0] === -1
  const sum = graph.inputs.find(({ name }) => isRows(name))
  return rows[0]?.name ?? sum!.name
}

/** The candidate encoder: one output per kept layer. */
export function partsOf(options: SplitOptions, kept: readonly (FirstLayer | string)[]): VariantGraph {
  const plan = emptyPlan(options)
  const { cut, layers, emitter } = options
  const ofLayers = new Map<FirstLayer | string, string>()
  for (const group of groupsOf(layers.filter((layer) => kept.includes(layer))))
    emitter.candidate_encoder(plan, group).forEach((part, i) => {
      ofLayers.set(group[i]!, part)
    })
  kept.forEach((layer, i) => {
    const part = typeof layer === 'string' ? plan.region!(layer, ['candidate'])! : ofLayers.get(layer)!
    addOutput(plan, part, declare(planNames.part(i), floatShape(-1, layerWidth(cut, layer))))
  })
  tidyVariant(plan)
  return plan
}

/** The context encoder: one output, with the first column of each layer in it. */
export function contextsOf(
  options: SplitOptions,
  read: readonly (FirstLayer | string)[],
): { plan: VariantGraph; columns: Map<FirstLayer | string, number> } | undefined {
  const { cut, layers, emitter } = options
  const plan = emptyPlan(options)
  const { graph } = plan
  const columns = new Map<FirstLayer | string, number>()
  const parts: string[] = []
  let width = 0
  const place = (layer: FirstLayer | string) => {
    columns.set(layer, width)
    width += layerWidth(cut, layer)
  }
  for (const group of groupsOf(layers.filter((layer) => read.includes(layer)))) {
    parts.push(...emitter.context_encoder(plan, group))
    group.forEach(place)
  }
  for (const layer of read) {
    if (typeof layer !== 'string') continue
    parts.push(plan.region!(layer, ['context'])!)
    place(layer)
  }
  if (parts.length === 0) return undefined
  const [first] = parts as [string]
  const split = graph.producer(first)
  const isWhole = split?.opType === 'Split' && split.output.join() === parts.join()
  addOutput(
    plan,
    isWhole ? split.input[0]! : sideBySide(graph, parts, floatShape(1, width)),
    declare(planNames.contexts, floatShape(-1, width), 'requests'),
  )
  tidyVariant(plan)
  return { plan, columns }
}

/** Columns of a first layer, or of a tensor of a region. */
export function layerWidth({ rest }: CutGraph, layer: FirstLayer | string): number {
  return typeof layer === 'string' ? rest.shapes.get(layer)!.dims[1]! : weightsOf(rest, layer.gemm).n
}

/** A variant without inputs and outputs. */
function emptyPlan({ cut, emitter, sides = cut.sides }: SplitOptions): VariantGraph {
  const graph = cut.rest.copy()
  graph.inputs.splice(0)
  graph.outputs.splice(0)
  graph.nodes = []
  graph.touch()
  return withRegions(graph, cut, sides, emitter)
}

function withRegions(graph: Graph, cut: CutGraph, sides: Sides, emitter: Emitter): VariantGraph {
  const plan: VariantGraph = { graph, context: [], rows: [], replaced: new Map() }
  const nodes = new RegionNodes(plan, cut, sides, emitter.regions)
  plan.region = (input, wanted) => nodes.columns(input, wanted)
  return plan
}

function addOutput({ graph }: VariantGraph, tensor: string, output: ValueInfoProto): void {
  const shape = graph.shapes.get(tensor)
  graph.node('Identity', [tensor], { outputs: [output.name], ...(shape ? { shape } : {}) })
  graph.outputs.push(output)
}

/** Groups layers by the tensor that they read. */
export function groupsOf(layers: readonly FirstLayer[]): Iterable<Group> {
  const groups = new Map<string, Group>()
  for (const layer of layers) {
    const key = layer.gemm.input[0]!
    const group = groups.get(key)
    if (group) group.push(layer)
    else groups.set(key, [layer])
  }
  return groups.values()
}

export function readsSide(layer: FirstLayer, sides: Sides, side: Side): boolean {
  return rowIndexes(layer.segments, sides, [side]).length > 0
}

/** Adds an input: the sum of a layer over each row's candidate and context, [rows, width]. */
export function knownSum({ graph }: VariantGraph, layer: number, width: number): string {
  const name = planNames.sum(layer)
  if (graph.shapes.has(name)) return name
  graph.inputs.push(declare(name, floatShape(-1, width)))
  graph.shapes.set(name, floatShape(-1, width))
  return name
}

/** Repeats values per request for its rows: [requests, n] → [rows, n], or [1, n] for a single request. */
export function ofRequest({ graph }: VariantGraph, values: string): string {
  const { requests } = planNames
  if (!graph.inputs.some(({ name }) => name === requests))
    graph.inputs.push(declare(requests, { dtype: DataType.INT32, dims: [-1] }, 'rows_or_1'))
  const shape = graph.shapes.get(values)
  return graph.node('Gather', [values, requests], { attributes: { axis: 0 }, ...(shape ? { shape } : {}) })
}
