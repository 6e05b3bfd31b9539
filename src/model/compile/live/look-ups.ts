import { positive } from '../../base/dims.ts'
import { intAttribute } from '../../graph/attributes.ts'
import type { Graph } from '../../graph/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../../graph/onnx_pb.ts'

/** Whether a node looks up rows of a constant table of floats, by any ids. */
export function isLookUp(graph: Graph, node: NodeProto): boolean {
  const table = graph.constants.get(node.input[0] ?? '')
  if (node.opType !== 'Gather' || node.domain !== '') return false
  if (table?.dataType !== DataType.FLOAT || table.dims.length !== 2) return false
  return positive(intAttribute(node, 'axis', 0), 2) === 0
}
