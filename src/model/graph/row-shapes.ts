import { positive, product } from '../base/dims.ts'
import { intsAttribute } from './attributes.ts'
import type { NodeProto } from './onnx_pb.ts'

/* Shapes of tensors whose first dimension, the rows, is left out of `dims`; axes count it. */

/** Dimensions after a Reshape to `target`; undefined where rows would not stay rows. */
export function reshapedDims(dims: readonly number[], [first, ...rest]: readonly number[]): number[] | undefined {
  const size = product(dims)
  const known = rest.map((side, i) => (side === 0 ? (dims[i] ?? 0) : side))
  const result = known.map((side) => (side === -1 ? size / -product(known) : side))
  return (first === -1 || first === 0) && product(result) === size ? result : undefined
}

/** What a Slice takes of one axis in steps of 1; undefined for another Slice. `integers`: values of a constant. */
export function slicedRange(
  dims: readonly number[],
  { input }: NodeProto,
  integers: (name: string) => number[],
): { axis: number; start: number; count: number } | undefined {
  const [starts, ends, axes = [0], steps = [1]] = input.slice(1).map(integers)
  if (starts?.length !== 1 || ends?.length !== 1 || axes.length !== 1 || steps[0] !== 1) return undefined
  const [axis] = axes as [number]
  const side = dims[positive(axis, dims.length + 1) - 1] ?? 0
  const bound = (value: number) => Math.min(side, Math.max(0, value < 0 ? value + side : value))
  const [start, end] = [bound(starts[0]!), bound(ends[0]!)]
  return { axis, start, count: Math.max(0, end - start) }
}

/** The sizes of a Split's parts along an axis of `side`; undefined where they are unknown or do not add up. */
export function splitSizes(node: NodeProto, side: number | undefined, integers: (name: string) => number[]) {
  const sizes = node.input[1] ? integers(node.input[1]) : intsAttribute(node, 'split')
  const fits = sizes?.length === node.output.length && sizes.reduce((a, b) => a + b, 0) === side
  return fits ? sizes : undefined
}
