import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'

/** Rewrites a node if it matches; returns whether it did. */
export type Rule = (graph: Graph, node: NodeProto) => boolean

/** Removes a node and replaces its output by another tensor. */
export function bypass(graph: Graph, node: NodeProto, replacement: string): true {
  graph.bypass(node, replacement)
  return true
}
