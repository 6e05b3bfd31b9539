import { intAttribute } from '../../model/graph/attributes.ts'
import type { Graph } from '../../model/graph/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../../model/graph/onnx_pb.ts'
import { declare } from '../../model/graph/tensor-shape.ts'

/** A look-up that was cut out of a graph. */
export interface CutLookUp {
  table: string
  /** The graph's new input: float32 [rows, …dims, width]. */
  input: string
  /** Tensor with the rows' numbers. */
  indexes: string
  dims: number[]
}

/** Whether a node looks up rows of a constant table by what the batch says. */
function isLookUp(graph: Graph, node: NodeProto): boolean {
  const [table, indexes] = node.input as [string, string]
  return (
    node.opType === 'Gather' &&
    intAttribute(node, 'axis', 0) === 0 &&
    graph.dimsOf(table)?.length === 2 &&
    graph.constants.get(table)!.dataType === DataType.FLOAT &&
    !graph.constants.has(indexes)
  )
}

/** Names of the tables that look-ups read. */
export const tablesOf = (graph: Graph): string[] => [
  ...new Set(graph.nodes.filter((node) => isLookUp(graph, node)).map(({ input }) => input[0]!)),
]

/**
 * Makes every look-up's output an input of the graph. `output` keeps its name, so that the same look-up has the same name in every
 * graph made of one model. Shapes must be known.
 */
export function cutLookUps(graph: Graph): CutLookUp[] {
  const cut: CutLookUp[] = []
  for (const node of graph.nodes.filter((node) => isLookUp(graph, node))) {
    const [table, indexes] = node.input as [string, string]
    const name = node.output[0]!
    const shape = graph.shapes.get(name)
    if (shape === undefined) throw new Error(`the shape of the tensor ${name} is not known`)
    graph.nodes.splice(graph.nodes.indexOf(node), 1)
    graph.inputs.push(declare(name, shape))
    cut.push({ table, input: name, indexes, dims: shape.dims.slice(1, -1) })
  }
  graph.touch()
  return cut
}
