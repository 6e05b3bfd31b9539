import { TensorProto_DataType as DataType } from '../ir/onnx_pb.ts'
import { floatShape, type TensorShape } from '../ir/tensor-shape.ts'
import type { Segment } from '../sides/columns.ts'
import { batchOf, columnsOf, embed, pickRows, rowIndexes } from '../sides/side-columns.ts'
import { ofRequest, readsSide } from '../sides/side-graphs.ts'
import type {
  Emit,
  Emitter,
  FirstLayer,
  Group,
  RegionEmitter,
  Side,
  Sides,
  VariantGraph,
} from '../sides/split-graphs.ts'
import { roundToBytes, sideBySide, sumsOf, toBytes, toFloats } from './int8-matrix.ts'
import type { QuantisedLayers, QuantisedSegment } from './quantise-layers.ts'
import { valueBytes } from './value-bytes.ts'

/** Computes the first layers of each graph variant in int8. */
export class Int8Emitter implements Emitter {
  readonly regions: RegionEmitter
  readonly #quantised: QuantisedLayers
  readonly #sides: Sides
  /** How often each embedding is repeated. */
  readonly #copies: number

  /** `groups`: the products of features in regions, by output. */
  constructor(groups: RegionEmitter['groups'], quantised: QuantisedLayers, sides: Sides, copies: number) {
    this.regions = { groups, emit: (plan, group, wanted) => this.#alone(plan, group, wanted) }
    this.#quantised = quantised
    this.#sides = sides
    this.#copies = copies
  }

  readonly shared_context: Emit = (plan, group) => {
    if (!readsSide(group[0], this.#sides, 'context')) return this.#alone(plan, group, ['candidate', 'cross'])
    const context = this.#bytes(plan, group, ['context'])!
    const x = this.#bytes(plan, group, ['candidate', 'cross'])!
    const sums = this.#contextSums(plan, group, context)
    const rows = this.#rowsOf(group[0], ['candidate', 'cross'])
    return group.map((layer) => {
      const { matrix, hidden } = this.#quantised.layers.get(layer)!
      if (hidden) return toBytes(plan.graph, x, matrix, rows, ofRequest(plan, sums.get(layer)!))
      const shared = ofRequest(plan, this.#contextFloats(plan, layer, context))
      const own = toFloats(plan.graph, x, matrix, rows, undefined)
      return plan.graph.node('Add', [own, shared], { shape: floatShape(-1, matrix.n) })
    })
  }

  /** Layers that read columns of these sides and no others. */
  #alone(plan: VariantGraph, group: Group, wanted: Side[]): string[] {
    const x = this.#bytes(plan, group, wanted)!
    const sums = this.#contextSums(plan, group, undefined)
    const rows = this.#rowsOf(group[0], wanted)
    const batch = batchOf(wanted)
    return group.map((layer) => {
      const { matrix, offset, hidden } = this.#quantised.layers.get(layer)!
      if (hidden) return toBytes(plan.graph, x, matrix, rows, sums.get(layer)!, batch)
      return toFloats(plan.graph, x, matrix, rows, Float32Array.from(offset), batch)
    })
  }

  #contextFloats(plan: VariantGraph, layer: FirstLayer, x: string): string {
    const { matrix, offset } = this.#quantised.layers.get(layer)!
    const rows = this.#rowsOf(layer, ['context'])
    return toFloats(plan.graph, x, matrix, rows, Float32Array.from(offset), 1)
  }

  /** Per layer, the terms of its sum that are not features of the row: float32 sums of integers, or an offset. */
  readonly context_encoder: Emit = (plan, group) => {
    const x = this.#bytes(plan, group, ['context'])
    const sums = this.#contextSums(plan, group, x)
    const batch = x === undefined ? -1 : 1
    return group.map((layer) => {
      const { matrix, offset, hidden } = this.#quantised.layers.get(layer)!
      if (hidden) {
        const shape = floatShape(batch, matrix.n)
        return plan.graph.node('Cast', [sums.get(layer)!], { attributes: { to: DataType.FLOAT }, shape })
      }
      if (x !== undefined) return this.#contextFloats(plan, layer, x)
      return plan.graph.constant('offset', Float32Array.from(offset), [matrix.n])
    })
  }

  readonly cached: Emitter['cached'] = (plan, group, sumOf) => {
    const { graph: target } = plan
    const rest = readsSide(group[0], this.#sides, 'context') ? undefined : this.context_encoder(plan, group)
    const cross = this.#bytes(plan, group, ['cross'])
    const crossRows = this.#rowsOf(group[0], ['cross'])
    return group.map((layer, i) => {
      const { matrix, hidden } = this.#quantised.layers.get(layer)!
      const { n } = matrix
      const shape = floatShape(-1, n)
      const terms = [sumOf(layer), rest?.[i]].filter((term) => term !== undefined)
      if (cross !== undefined)
        terms.push(toFloats(target, cross, hidden ? sumsOf(matrix) : matrix, crossRows, undefined))
      const sum = terms.reduce((sum, term) => target.node('Add', [sum, term], { shape }))
      if (!hidden) return sum
      const scaled = target.node('Mul', [sum, target.constant('sums/scale', matrix.scale, [n])], { shape })
      return roundToBytes(target, scaled, n)
    })
  }

  /**
   * For hidden layers these are sums of integers, which float32 adds without rounding: all variants scale the same sum.
   */
  readonly candidate_encoder: Emit = (plan, group) => {
    const x = this.#bytes(plan, group, ['candidate'])!
    const rows = this.#rowsOf(group[0], ['candidate'])
    return group.map((layer) => {
      const { matrix, hidden } = this.#quantised.layers.get(layer)!
      return toFloats(plan.graph, x, hidden ? sumsOf(matrix) : matrix, rows, undefined)
    })
  }

  /**
   * Per hidden layer of the group, the start of its int32 sums: the offset and the context's contribution. A constant,
   * or one row per request.
   */
  #contextSums(plan: VariantGraph, group: Group, x: string | undefined): Map<FirstLayer, string> {
    const { graph: target } = plan
    const members = group.filter((layer) => this.#quantised.layers.get(layer)!.hidden)
    const sums = new Map<FirstLayer, string>()
    const offsets = members.map((layer) => {
      const { matrix, offset } = this.#quantised.layers.get(layer)!
      return Int32Array.from(offset, (value, j) => Math.round(value / matrix.scale[j]!))
    })
    if (x === undefined) {
      members.forEach((layer, i) => {
        sums.set(layer, target.constant('sums', offsets[i]!, [offsets[i]!.length]))
      })
      return sums
    }
    if (members.length === 0) return sums
    const rows = this.#rowsOf(members[0]!, ['context'])
    const width = offsets.reduce((sum, { length }) => sum + length, 0)
    const weights = sideBySide(
      members.map((layer) => {
        const { matrix } = this.#quantised.layers.get(layer)!
        return { n: matrix.n, data: pickRows(matrix.q, matrix.n, rows) }
      }),
      rows.length,
    )
    const shape: TensorShape = { dtype: DataType.INT32, dims: [1, width] }
    const product = target.node('MatMulInteger', [x, target.constant('context/int8', weights, [rows.length, width])], {
      shape,
    })
    const all = new Int32Array(width)
    let column = 0
    for (const offset of offsets) {
      all.set(offset, column)
      column += offset.length
    }
    const sum = target.node('Add', [product, target.constant('context/sums', all, [width])], { shape })
    if (members.length === 1) return sums.set(members[0]!, sum)
    const sizes = offsets.map(({ length }) => length)
    const parts = target.nodeOf('Split', [sum, target.integers(sizes)], sizes.length, {
      attributes: { axis: 1 },
      shapes: sizes.map((size) => ({ dtype: DataType.INT32, dims: [1, size] })),
    })
    members.forEach((layer, i) => {
      sums.set(layer, parts[i]!)
    })
    return sums
  }

  /** Rows of a layer's matrix that belong to the features of these sides, in the order of `featureBytes`. */
  #rowsOf(layer: FirstLayer, wanted: Side[]): number[] {
    const { starts, quantised } = this.#quantised.layers.get(layer)!
    const rows: number[] = []
    let first = 0
    for (const [i, segment] of layer.segments.entries()) {
      const { table, repeats, steps } = quantised[i]!
      const own = rowIndexes([segment], this.#sides, wanted)
      if (steps !== 'of column')
        for (let copy = 0; copy < (table ? this.#copies : repeats[0]!); copy++)
          for (const row of own) rows.push(starts[first + row]! + copy)
      else
        for (const row of own) for (let copy = 0; copy < repeats[row]!; copy++) rows.push(starts[first + row]! + copy)
      first += segment.columns.length * segment.dim
    }
    return rows
  }

  #bytes(plan: VariantGraph, [{ segments }]: Group, wanted: Side[]): string | undefined {
    return featureBytes(plan, segments, this.#sides, wanted, this.#quantised.segments, this.#copies)
  }
}

/**
 * Adds nodes that compute the features of some sides as bytes. Returns their tensor, [rows, k]; undefined if no feature
 * is of these sides. A column is repeated as often as `quantised` says, ids `copies` times.
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
