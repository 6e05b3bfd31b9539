import { weightsOf } from '../../graph/gemm.ts'
import type { Graph } from '../../graph/graph.ts'
import { TensorProto_DataType as DataType, type ValueInfoProto } from '../../graph/onnx_pb.ts'
import { declare, floatShape } from '../../graph/tensor-shape.ts'
import type { Emit, FirstLayer, Group, Sides, VariantGraph } from './contract.ts'
import { rowIndexes } from './side-columns.ts'
import { planNames } from './tensor-names.ts'

/*
 * The graph variants that a graph is split into, for any arithmetic of their first layers.
 */

/** The graph with its first layers replaced; a reason if other nodes read the inputs too. */
export function assemble(whole: Graph, layers: FirstLayer[], emit: Emit): VariantGraph | string {
  const graph = whole.copy()
  const plan: VariantGraph = { graph, context: [], rows: [], replaced: new Map() }
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

/** The candidate encoder: one output per first layer. */
export function partsOf(whole: Graph, layers: FirstLayer[], emit: Emit): VariantGraph {
  const plan = emptyPlan(whole)
  for (const group of groupsOf(layers))
    emit(plan, group).forEach((part, i) => {
      const layer = group[i]!
      const shape = floatShape(-1, weightsOf(whole, layer.gemm).n)
      addOutput(plan, part, declare(planNames.part(layers.indexOf(layer)), shape))
    })
  plan.graph.tidy()
  return plan
}

/** The context encoder: one output, with the first column of each layer in it. */
export function contextsOf(
  whole: Graph,
  layers: FirstLayer[],
  sides: Sides,
  emit: Emit,
): { plan: VariantGraph; columns: Map<FirstLayer, number> } | undefined {
  const plan = emptyPlan(whole)
  const { graph } = plan
  const columns = new Map<FirstLayer, number>()
  const parts: string[] = []
  let width = 0
  for (const group of groupsOf(layers)) {
    if (!readsContext(group, sides)) continue
    parts.push(...emit(plan, group))
    for (const layer of group) {
      columns.set(layer, width)
      width += weightsOf(whole, layer.gemm).n
    }
  }
  if (parts.length === 0) return undefined
  const [first] = parts as [string]
  const shape = floatShape(1, width)
  const split = graph.producer(first)
  const isWhole = split?.opType === 'Split' && split.output.join() === parts.join()
  const concatenated = parts.length === 1 ? first : graph.node('Concat', parts, { attributes: { axis: 1 }, shape })
  addOutput(
    plan,
    isWhole ? split.input[0]! : concatenated,
    declare(planNames.contexts, floatShape(-1, width), 'requests'),
  )
  graph.tidy()
  return { plan, columns }
}

/** A variant without inputs and outputs. */
function emptyPlan(whole: Graph): VariantGraph {
  const graph = whole.copy()
  graph.inputs.splice(0)
  graph.outputs.splice(0)
  graph.nodes = []
  graph.touch()
  return { graph, context: [], rows: [], replaced: new Map() }
}

function addOutput({ graph }: VariantGraph, tensor: string, output: ValueInfoProto): void {
  graph.node('Identity', [tensor], { outputs: [output.name], shape: graph.shapes.get(tensor)! })
  graph.outputs.push(output)
}

/** Groups layers by the tensor that they read. */
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

export function readsContext([{ segments }]: Group, sides: Sides): boolean {
  return rowIndexes(segments, sides, ['context']).length > 0
}

/** Adds an input: the sum of a layer over each row's candidate and context, [rows, width]. */
export function knownSum({ graph }: VariantGraph, layer: number, width: number): string {
  const name = planNames.sum(layer)
  graph.inputs.push(declare(name, floatShape(-1, width)))
  graph.shapes.set(name, floatShape(-1, width))
  return name
}

/** Repeats values per request for its rows: [requests, n] → [rows, n], or [1, n] for a single request. */
export function ofRequest({ graph }: VariantGraph, values: string): string {
  const { requests } = planNames
  if (!graph.inputs.some(({ name }) => name === requests))
    graph.inputs.push(declare(requests, { dtype: DataType.INT32, dims: [-1] }, 'rows_or_1'))
  return graph.node('Gather', [values, requests], { attributes: { axis: 0 }, shape: graph.shapes.get(values)! })
}

/** Removes a ReLU if it is the only user of an input; returns whether it did. */
export function takeRelu(graph: Graph, input: string): boolean {
  const [relu, ...more] = graph.users(input)
  if (relu?.opType !== 'Relu' || more.length > 0 || graph.isOutput(input)) return false
  graph.nodes.splice(graph.nodes.indexOf(relu), 1)
  graph.touch()
  graph.replace(relu.output[0]!, input)
  return true
}
