import type { Graph } from '../../graph/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../../graph/onnx_pb.ts'
import type { VariantGraph } from './contract.ts'
import { ofRequest } from './side-graphs.ts'

/*
 * Nodes that depend on the context alone, such as an expert of the context: a variant computes them once per request.
 */

/** Their answers say how many rows there are, which differs between requests and rows. */
const countsRows = new Set(['Shape', 'Size'])

/**
 * Repeats what follows from `contexts` [requests, …] for the rows of each request, where other nodes read it. The variant must
 * have inputs of rows.
 */
export function repeatContexts(plan: VariantGraph, contexts: readonly string[]): void {
  const { graph } = plan
  graph.tidy()
  const contextual = new Set(contexts)
  const others: NodeProto[] = []
  for (const node of graph.nodes) {
    const read = node.input.filter((name) => name !== '' && !graph.constants.has(name))
    const alone = read.length > 0 && read.every((name) => contextual.has(name)) && !countsRows.has(node.opType)
    if (alone) for (const output of node.output) contextual.add(output)
    else others.push(node)
  }
  const repeated = new Map<string, string>()
  const rowsOf = (name: string): string => {
    const found = repeated.get(name) ?? repeat(plan, name)
    repeated.set(name, found)
    return found
  }
  const answers = graph.outputs.map(({ name }) => name).filter((name) => contextual.has(name))
  const sources = answers.map((name) => {
    const source = renamed(graph, name)
    contextual.add(source)
    return source
  })
  for (const node of others) node.input = node.input.map((name) => (contextual.has(name) ? rowsOf(name) : name))
  answers.forEach((name, i) => {
    graph.node('Identity', [rowsOf(sources[i]!)], { outputs: [name], shape: graph.shapes.get(name)! })
  })
  graph.touch()
  graph.tidy()
}

/** Gives a tensor another name, in its producer and all users; returns it. */
function renamed(graph: Graph, name: string): string {
  const other = graph.fresh(`${name}:requests`)
  const rename = (names: string[]) => names.map((one) => (one === name ? other : one))
  for (const node of graph.nodes) {
    node.input = rename(node.input)
    node.output = rename(node.output)
  }
  graph.shapes.set(other, graph.shapes.get(name)!)
  graph.touch()
  return other
}

/** [requests, …] → [rows, …] */
function repeat(plan: VariantGraph, values: string): string {
  const { graph } = plan
  const shape = graph.shapes.get(values)!
  const dims = [-1, ...shape.dims.slice(1)]
  const gathered = ofRequest(plan, values) // [rows, …], or [1, …] for a single request
  const target = graph.node('Concat', [rowCount(graph, plan.rows[0]!.name), graph.integers(dims.slice(1))], {
    attributes: { axis: 0 },
    shape: { dtype: DataType.INT64, dims: [dims.length] },
  })
  return graph.node('Expand', [gathered, target], { shape: { ...shape, dims } })
}

/** The number of rows, int64 [1]. */
function rowCount(graph: Graph, input: string): string {
  const shape = graph.node('Shape', [input], {
    shape: { dtype: DataType.INT64, dims: [graph.shapes.get(input)!.dims.length] },
  })
  const slice = [graph.integers([0]), graph.integers([1])]
  return graph.node('Slice', [shape, ...slice], { shape: { dtype: DataType.INT64, dims: [1] } })
}
