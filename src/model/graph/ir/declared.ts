import type { Graph } from './graph.ts'
import type { ValueInfoProto } from './onnx_pb.ts'

/** The declared element type of an input or output; 0 if there is none. */
export function dtypeOf({ type }: ValueInfoProto): number {
  return type?.value.case === 'tensorType' ? type.value.value.elemType : 0
}

/**
 * Dimensions of a tensor after the batch, from its declaration or else its known shape; undefined if one is not fixed.
 */
export function sidesOf(graph: Graph, { name, type }: ValueInfoProto): number[] | undefined {
  const declared = type?.value.case === 'tensorType' ? type.value.value.shape?.dim : undefined
  const dims =
    declared?.map(({ value }) => (value.case === 'dimValue' ? Number(value.value) : -1)) ?? graph.shapes.get(name)?.dims
  const sides = dims?.slice(1)
  if (sides?.every((side) => side > 0)) return sides
  const known = graph.shapes.get(name)?.dims.slice(1)
  return known?.every((side) => side > 0) ? known : undefined
}

/** Whether the number of rows is free. */
export function isBatched({ type }: ValueInfoProto): boolean {
  const first = type?.value.case === 'tensorType' ? type.value.value.shape?.dim[0] : undefined
  return first !== undefined && !(first.value.case === 'dimValue' && first.value.value > 0n)
}
