import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType } from '../ir/onnx_pb.ts'
import { floatShape } from '../ir/tensor-shape.ts'
import type { QuantisedSegment } from './quantise-layers.ts'

/** Bytes of values, [batch, columns], copies included. */
interface Bytes {
  tensor: string
  columns: number
}

/**
 * Values rounded to bytes. Copies of a column are shifted by fractions of a step, so that together they are as fine as
 * their number: Σ round(x + δᵢ) ≈ n·x. Those of an input's column are side by side; of computed values, all columns
 * are, copy by copy.
 */
export function valueBytes(
  graph: Graph,
  values: string,
  positions: readonly number[],
  segment: QuantisedSegment,
  batch: number,
): Bytes {
  return segment.steps === 'of column'
    ? inputBytes(graph, values, positions, segment, batch)
    : computedBytes(graph, values, positions, segment, batch)
}

function inputBytes(
  graph: Graph,
  values: string,
  positions: readonly number[],
  { scale, zero, repeats }: QuantisedSegment,
  batch: number,
): Bytes {
  const copies = positions.flatMap((i, place) =>
    Array.from({ length: repeats[i]! }, (_, copy) => ({ i, place, shift: shiftOf(copy, repeats[i]!) })),
  )
  const columns = copies.length
  let x = values
  if (columns > positions.length) {
    const places = graph.integers(copies.map(({ place }) => place))
    const shifts = Float32Array.from(copies, ({ i, shift }) => shift * scale[i]!)
    const shape = floatShape(batch, columns)
    x = graph.node('Gather', [x, places], { attributes: { axis: 1 }, shape })
    x = graph.node('Add', [x, graph.constant('values/shift', shifts, [columns])], { shape })
  }
  const scales = Float32Array.from(copies, ({ i }) => scale[i]!)
  const zeros = Uint8Array.from(copies, ({ i }) => zero[i]!)
  const names = [graph.constant('values/scale', scales, [columns]), graph.constant('values/zero', zeros, [columns])]
  const shape = { dtype: DataType.UINT8, dims: [batch, columns] }
  return { tensor: graph.node('QuantizeLinear', [x, ...names], { attributes: { axis: 1 }, shape }), columns }
}

function computedBytes(
  graph: Graph,
  values: string,
  positions: readonly number[],
  { scale, zero, repeats, steps }: QuantisedSegment,
  batch: number,
): Bytes {
  const copies = repeats[0]!
  const columns = positions.length * copies
  const shape = floatShape(batch, columns)
  const isMultiplied = steps === 'multiplied'
  let x = values
  if (isMultiplied) {
    const factors = Float32Array.from(positions, (i) => 1 / scale[i]!)
    const name = graph.constant('values/factor', factors, [positions.length])
    x = graph.node('Mul', [x, name], { shape: floatShape(batch, positions.length) })
  }
  if (copies > 1) x = graph.node('Concat', new Array<string>(copies).fill(x), { attributes: { axis: 1 }, shape })
  const shifts = Array.from({ length: copies }, (_, copy) =>
    positions.map((i) => (isMultiplied ? shiftOf(copy, copies) + zero[i]! : shiftOf(copy, copies) * scale[i]!)),
  ).flat()
  if (shifts.some((shift) => shift !== 0))
    x = graph.node('Add', [x, graph.constant('values/shift', Float32Array.from(shifts), [columns])], { shape })
  const names = [
    graph.constant('values/scale', isMultiplied ? Float32Array.of(1) : scale.slice(0, 1), []),
    graph.constant('values/zero', isMultiplied ? Uint8Array.of(0) : zero.slice(0, 1), []),
  ]
  return {
    tensor: graph.node('QuantizeLinear', [x, ...names], { shape: { dtype: DataType.UINT8, dims: [batch, columns] } }),
    columns,
  }
}

/** The shift of a copy among others, in steps. */
const shiftOf = (copy: number, copies: number) => (copy + 0.5) / copies - 0.5
