import { positive } from '../base/dims.ts'
import { intAttribute } from './attributes.ts'
import type { Graph } from './graph.ts'
import type { NodeProto } from './onnx_pb.ts'

/** Columns of its input, [batch, columns, …], that a node selects, in order: Gather and Slice over axis 1, and Split. */
export function pickedColumns(graph: Graph, node: NodeProto, output: string): number[] | undefined {
  const dims = graph.shapes.get(node.input[0]!)?.dims
  if (dims === undefined || dims.length < 2) return undefined
  const rank = dims.length
  const width = dims[1]!
  if (node.opType === 'Gather' && positive(intAttribute(node, 'axis', 0), rank) === 1)
    return graph.integersOf(node.input[1]!)?.map((i) => positive(i, width))
  if (node.opType === 'Split' && positive(intAttribute(node, 'axis', 0), rank) === 1) {
    const sizes = node.output.map((name) => graph.shapes.get(name)?.dims[1])
    const at = node.output.indexOf(output)
    if (sizes.some((size) => size === undefined)) return undefined
    const start = sizes.slice(0, at).reduce((sum: number, size) => sum + size!, 0)
    return Array.from({ length: sizes[at]! }, (_, i) => start + i)
  }
  if (node.opType === 'Slice') {
    const given = node.input.slice(1)
    if (given.some((name) => name !== '' && !graph.constants.has(name))) return undefined
    const [starts, ends, axes, steps] = given.map((name) => graph.integersOf(name))
    if (starts?.length !== 1 || ends?.length !== 1 || (steps !== undefined && steps[0] !== 1)) return undefined
    if (positive(axes?.[0] ?? 0, rank) !== 1) return undefined
    const from = Math.max(0, positive(starts[0]!, width))
    const to = Math.min(width, positive(ends[0]!, width))
    return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
  }
  return undefined
}
