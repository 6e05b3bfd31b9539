import { isExternal } from './constants.ts'
import type { Graph } from './graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from './onnx_pb.ts'

/** Whether a node is a Reshape to a constant shape, without attributes. */
export function isPlainReshape(graph: Graph, node: NodeProto): boolean {
  return (
    node.opType === 'Reshape' &&
    node.attribute.length === 0 &&
    graph.constants.has(node.input[1]!) &&
    !isExternal(graph.constants.get(node.input[1]!)!) &&
    graph.constants.get(node.input[1]!)!.dataType === DataType.INT64
  )
}

/** Name of a shape that follows from the number of requests in a call, before a number that makes it unique. */
export const sizesName = 'multigate:sizes'

/**
 * Whether a tensor is such a shape: the rows of a request become those of one matrix by it. None of its sizes is 0,
 * which would stand for that of a Reshape's input.
 */
export const isOfSizes = (name: string): boolean => name.startsWith(sizesName)
