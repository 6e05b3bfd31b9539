import { isExternal } from '../ir/constants.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../ir/onnx_pb.ts'

/** Rewrites a node if it matches; returns whether it did. */
export type Rule = (graph: Graph, node: NodeProto) => boolean

/** Removes a node and replaces its output by another tensor. */
export function bypass(graph: Graph, node: NodeProto, replacement: string): true {
  graph.bypass(node, replacement)
  return true
}

export function isPlainReshape(graph: Graph, node: NodeProto): boolean {
  return (
    node.opType === 'Reshape' &&
    node.attribute.length === 0 &&
    graph.constants.has(node.input[1]!) &&
    !isExternal(graph.constants.get(node.input[1]!)!) &&
    graph.constants.get(node.input[1]!)!.dataType === DataType.INT64
  )
}
