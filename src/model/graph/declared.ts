import type { Graph } from './graph.ts'
import type { ValueInfoProto } from './onnx_pb.ts'

/** The element type that an input or output is declared with; 0 where it is none, or no tensor. */
export function dtypeOf({ type }: ValueInfoProto): number {
  return type?.value.case === 'tensorType' ? type.value.value.elemType : 0
}

/** Sides of a tensor after the batch, as it is declared or else known of its shape; undefined where one isn't fixed. */
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
