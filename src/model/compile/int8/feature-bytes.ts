import type { Segment } from '../../graph/columns.ts'
import type { Graph } from '../../graph/graph.ts'
import { TensorProto_DataType as DataType } from '../../graph/onnx_pb.ts'
import { floatShape, type TensorShape } from '../../graph/tensor-shape.ts'
import type { Side, Sides, VariantGraph } from '../sides/contract.ts'
import { batchOf, columnsOf, embed } from '../sides/side-columns.ts'
import type { QuantisedSegment } from './quantise-layers.ts'

/**
 * Adds nodes that compute the features of some sides as bytes. Returns their tensor, [rows, k]; undefined if no feature is of
 * these sides. A column is repeated as often as `quantised` says, ids `copies` times.
 */
export function featureBytes(
  plan: VariantGraph,
  segments: Segment[],
  sides: Sides,
  wanted: Side[],
  quantised: ReadonlyMap<Segment, QuantisedSegment>,
  copies: number,
): string | undefined {
  const { graph: target } = plan
  const batch = batchOf(wanted)
  const parts: string[] = []
  let width = 0
  for (const segment of segments) {
    const picked = columnsOf(plan, segment, sides, wanted)
    if (picked === undefined) continue
    const { values, positions } = picked
    const own = quantised.get(segment)!
    if (own.table === undefined) {
      const { tensor, columns } = valueBytes(target, values, positions, own, batch)
      parts.push(tensor)
      width += columns
      continue
    }
    own.table.addTo(target)
    const embedded = embed(target, own.table.name, values, [batch, positions.length, segment.dim])
    for (let copy = 0; copy < copies; copy++) parts.push(embedded)
    width += positions.length * segment.dim * copies
  }
  if (parts.length <= 1) return parts[0]
  const shape: TensorShape = { dtype: DataType.UINT8, dims: [batch, width] }
  return target.node('Concat', parts, { attributes: { axis: 1 }, shape })
}

/**
 * Values rounded to bytes. Copies of a column are shifted by fractions of a step, so that together they are as fine as their
 * number: Σ round(x + δᵢ) ≈ n·x.
 */
function valueBytes(
  target: Graph,
  values: string,
  positions: number[],
  { scale, zero, repeats }: QuantisedSegment,
  batch: number,
): { tensor: string; columns: number } {
  const copies = positions.flatMap((i, place) =>
    Array.from({ length: repeats[i]! }, (_, copy) => ({ i, place, shift: (copy + 0.5) / repeats[i]! - 0.5 })),
  )
  const columns = copies.length
  let x = values
  if (columns > positions.length) {
    const places = target.integers(copies.map(({ place }) => place))
    const shifts = Float32Array.from(copies, ({ i, shift }) => shift * scale[i]!)
    const shape = floatShape(batch, columns)
    x = target.node('Gather', [x, places], { attributes: { axis: 1 }, shape })
    x = target.node('Add', [x, target.constant('values/shift', shifts, [columns])], { shape })
  }
  const scales = Float32Array.from(copies, ({ i }) => scale[i]!)
  const zeros = Uint8Array.from(copies, ({ i }) => zero[i]!)
  const names = [target.constant('values/scale', scales, [columns]), target.constant('values/zero', zeros, [columns])]
  const shape: TensorShape = { dtype: DataType.UINT8, dims: [batch, columns] }
  return { tensor: target.node('QuantizeLinear', [x, ...names], { attributes: { axis: 1 }, shape }), columns }
}
