import type { Segment } from '../columns.ts'
import { floatShape, type Graph, microsoft, type TensorShape } from '../graph.ts'
import { TensorProto_DataType as DataType, type NodeProto } from '../onnx_pb.ts'
import { type FieldIds, quantiseTable, type TableScales } from '../quantised-table.ts'
import { weightsOf } from './canonicalise.ts'
import { steps } from './equalise.ts'
import {
  assemble,
  batchOf,
  columnsOf,
  type Emit,
  embed,
  type FirstLayer,
  firstLayers,
  type Group,
  knownPart,
  type PlanGraph,
  pickRows,
  rowIndexes,
  type Side,
  type Sides,
  type SplitGraphs,
  splitLayers,
} from './split-sides.ts'

/** Smallest and largest value of each column that a segment has of its own, over some rows. */
export interface Range {
  lo: Float32Array
  hi: Float32Array
}

export interface QuantiseOptions {
  /** Outputs of ReLUs whose values lie from 0 to 255, see `equalise`. */
  hidden: Set<string>
  /** Per segment of features that are values, not ids: what their values were, by `rangeKey`. */
  ranges: Map<string, Range>
  sides: Sides | undefined
  /** Per input of ids, per column the ids that it can hold: each field's rows of the table then have scales of their own. */
  fields: Record<string, FieldIds[]>
  /**
   * Products whose weights are written as the sum of two int8 terms, which halves nothing but the error: those that make
   * no hidden layer of the first (`gates`), or of any (`all`).
   */
  refine: 'none' | 'gates' | 'all'
}

export function rangeKey({ input, columns }: Segment): string {
  return `${input}:${columns.join()}`
}

/** A matrix [k, n] as int8 by column: w ≈ scale[j]·q (+ fine scale[j]·fine q). */
interface Int8Matrix {
  k: number
  n: number
  q: Int8Array
  scale: Float32Array
  fine: { q: Int8Array; scale: Float32Array } | undefined
}

/** A first layer's int8 form: x·W + b ≈ scale·(q·Q) + offset, where the bytes q are x's. */
interface QuantisedLayer {
  matrix: Int8Matrix
  /** b, and what the zero points of x add to it: [n]. */
  offset: Float64Array
  /** Whether a ReLU follows whose values are bytes. */
  hidden: boolean
}

/**
 * A graph in int8, whole and by side: fixed scales, so that a row's answer never depends on its batch-mates.
 *
 * Features are bytes: tables are stored so, values are rounded to 256 steps of their range; their scales are folded into
 * the weights, their zero points into the bias. Products are QGemm, whose output of bytes makes a ReLU free (its zero
 * point is 0), or MatMulIntegerToFloat at the end of a chain. All plans compute the same integers, in whatever order they
 * add them, so that a candidate's answer does not depend on whether it was known.
 */
export function quantise(graph: Graph, options: QuantiseOptions): { whole: PlanGraph; split: SplitGraphs | string } {
  const layers = firstLayers(graph)
  const scales = new Map<Segment, { table: TableScales | undefined; scale: Float32Array; zero: Uint8Array }>()
  const tables = new Map<string, TableScales>()
  const made = new Map<FirstLayer, QuantisedLayer>()
  for (const layer of layers) {
    for (const segment of layer.segments) {
      if (scales.has(segment)) continue
      scales.set(segment, scalesOf(segment))
    }
    // What follows a hidden layer's product is replaced with it.
    const [relu, ...more] = graph.users(layer.gemm.output[0]!)
    const hidden = relu?.opType === 'Relu' && more.length === 0 && options.hidden.has(relu.output[0]!)
    if (hidden) layer.output = relu.output[0]!
    made.set(layer, quantiseLayer(layer, hidden))
  }

  const everything: Sides = Object.fromEntries(
    layers.flatMap(({ segments }) =>
      segments.map(({ input }) => [input, new Array<Side>(graph.shapes.get(input)!.dims[1] ?? 1).fill('candidate')]),
    ),
  )
  const whole = assemble(graph, layers, freshOf(everything))
  if (typeof whole === 'string') throw new Error(whole)
  finish(whole)
  const split =
    options.sides === undefined
      ? 'the sides of the fields are not known'
      : splitLayers(graph, layers, options.sides, {
          fresh: freshOf(options.sides),
          known: knownOf(options.sides),
          parts: partsOf(options.sides),
        })
  if (typeof split !== 'string') {
    finish(split.fresh)
    if (split.parts) finish(split.parts)
    if (split.known) finish(split.known)
  }
  return { whole, split }

  function scalesOf(segment: Segment): { table: TableScales | undefined; scale: Float32Array; zero: Uint8Array } {
    if (segment.table !== undefined) {
      const key = segment.table
      const table = tables.get(key) ?? quantiseTable(graph, key, fieldsOf(key))
      tables.set(key, table)
      return { table, scale: new Float32Array(), zero: new Uint8Array() }
    }
    const range = options.ranges.get(rangeKey(segment))
    if (range === undefined) throw new Error(`no values of the input ${segment.input} are known`)
    const scale = new Float32Array(segment.columns.length)
    const zero = new Uint8Array(segment.columns.length)
    scale.forEach((_, i) => {
      // 0 must be among the values: then it is exact, and the zero point is a byte.
      const [lo, hi] = [Math.min(0, range.lo[i]!), Math.max(0, range.hi[i]!)]
      scale[i] = hi > lo ? (hi - lo) / steps : 1
      zero[i] = Math.round(-lo / scale[i]!)
    })
    return { table: undefined, scale, zero }
  }

  /** All ids that may look up this table, if they are known and each belongs to one field. */
  function fieldsOf(table: string): FieldIds[] | undefined {
    const found: FieldIds[] = []
    for (const { segments } of layers)
      for (const segment of segments) {
        if (segment.table !== table) continue
        for (const column of segment.columns) {
          const ids = options.fields[segment.input]?.[column]
          if (ids === undefined) return undefined
          if (!found.some(({ offset }) => offset === ids.offset)) found.push(ids)
        }
      }
    found.sort((a, b) => a.offset - b.offset)
    const apart = found.every(({ offset }, i) => i === 0 || offset >= found[i - 1]!.offset + found[i - 1]!.ids)
    return apart ? found : undefined
  }

  function quantiseLayer({ gemm, segments }: FirstLayer, hidden: boolean): QuantisedLayer {
    const { k, n, w, b } = weightsOf(graph, gemm)
    const scaled = new Float64Array(k * n)
    const offset = Float64Array.from(b)
    let row = 0
    for (const segment of segments) {
      const { table, scale, zero } = scales.get(segment)!
      segment.columns.forEach((column, i) => {
        for (let d = 0; d < segment.dim; d++, row++) {
          const [step, lo] = table
            ? table.at(options.fields[segment.input]?.[column], d)
            : [scale[i]!, -scale[i]! * zero[i]!]
          for (let j = 0; j < n; j++) {
            scaled[row * n + j] = w[row * n + j]! * step
            offset[j]! += w[row * n + j]! * lo
          }
        }
      })
    }
    return { matrix: toInt8(scaled, k, n, !hidden && options.refine !== 'none'), offset, hidden }
  }

  /** Bytes of the features of these sides: [rows, k]. */
  function bytes(plan: PlanGraph, segments: Segment[], sides: Sides, wanted: Side[]): string | undefined {
    const { graph: target } = plan
    const batch = batchOf(wanted)
    const parts: string[] = []
    let width = 0
    for (const segment of segments) {
      const picked = columnsOf(plan, segment, sides, wanted)
      if (picked === undefined) continue
      const { values, positions } = picked
      const { table, scale, zero } = scales.get(segment)!
      const size = positions.length * segment.dim
      width += size
      if (table !== undefined) {
        table.addTo(target)
        parts.push(embed(target, table.name, values, [batch, positions.length, segment.dim]))
        continue
      }
      const pick = (from: ArrayLike<number>) => positions.map((i) => from[i]!)
      const names = [
        target.constant('values/scale', Float32Array.from(pick(scale)), [size]),
        target.constant('values/zero', Uint8Array.from(pick(zero)), [size]),
      ]
      const shape: TensorShape = { dtype: DataType.UINT8, dims: [batch, size] }
      parts.push(target.node('QuantizeLinear', [values, ...names], { attributes: { axis: 1 }, shape }))
    }
    if (parts.length <= 1) return parts[0]
    const shape: TensorShape = { dtype: DataType.UINT8, dims: [batch, width] }
    return target.node('Concat', parts, { attributes: { axis: 1 }, shape })
  }

  /**
   * Per hidden layer of the group what its int32 sums begin with: the offset, and the context's part. A constant, or of
   * one row.
   */
  function contextSums(plan: PlanGraph, group: Group, sides: Sides, x: string | undefined): Map<FirstLayer, string> {
    const { graph: target } = plan
    const members = group.filter((layer) => made.get(layer)!.hidden)
    const sums = new Map<FirstLayer, string>()
    const offsets = members.map((layer) => {
      const { matrix, offset } = made.get(layer)!
      return Int32Array.from(offset, (value, j) => Math.round(value / matrix.scale[j]!))
    })
    if (x === undefined) {
      members.forEach((layer, i) => {
        sums.set(layer, target.constant('sums', offsets[i]!, [offsets[i]!.length]))
      })
      return sums
    }
    if (members.length === 0) return sums
    const rows = rowIndexes(group[0].segments, sides, ['context'])
    const width = offsets.reduce((sum, { length }) => sum + length, 0)
    const weights = sideBySide(
      members.map((layer) => {
        const { matrix } = made.get(layer)!
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

  function freshOf(sides: Sides): Emit {
    return (plan, group) => {
      const [{ segments }] = group
      const context = bytes(plan, segments, sides, ['context'])
      const x = bytes(plan, segments, sides, ['candidate', 'cross'])!
      const sums = contextSums(plan, group, sides, context)
      const rows = rowIndexes(segments, sides, ['candidate', 'cross'])
      return group.map((layer) => {
        const { matrix, offset, hidden } = made.get(layer)!
        if (hidden) return toBytes(plan.graph, x, matrix, rows, sums.get(layer)!)
        if (context === undefined) return toFloats(plan.graph, x, matrix, rows, Float32Array.from(offset))
        const shared = contextFloats(plan, layer, sides, context)
        const own = toFloats(plan.graph, x, matrix, rows, undefined)
        return plan.graph.node('Add', [own, shared], { shape: floatShape(-1, matrix.n) })
      })
    }
  }

  function contextFloats(plan: PlanGraph, layer: FirstLayer, sides: Sides, x: string): string {
    const { matrix, offset } = made.get(layer)!
    const rows = rowIndexes(layer.segments, sides, ['context'])
    return toFloats(plan.graph, x, matrix, rows, Float32Array.from(offset), 1)
  }

  function knownOf(sides: Sides): Emit {
    return (plan, group) => {
      const { graph: target } = plan
      const [{ segments }] = group
      const context = bytes(plan, segments, sides, ['context'])
      const cross = bytes(plan, segments, sides, ['cross'])
      const crossRows = rowIndexes(segments, sides, ['cross'])
      const sums = contextSums(plan, group, sides, context)
      return group.map((layer) => {
        const { matrix, offset, hidden } = made.get(layer)!
        const { n } = matrix
        let rest: string
        if (hidden) {
          const constant = target.constants.has(sums.get(layer)!)
          const shape = floatShape(constant ? -1 : 1, n)
          const float = target.node('Cast', [sums.get(layer)!], { attributes: { to: DataType.FLOAT }, shape })
          rest = target.node('Mul', [float, target.constant('sums/scale', matrix.scale, [n])], { shape })
        } else
          rest =
            context === undefined
              ? target.constant('offset', Float32Array.from(offset), [n])
              : contextFloats(plan, layer, sides, context)
        const part = knownPart(plan, layers.indexOf(layer), n)
        const sum = target.node('Add', [part, rest], { shape: floatShape(-1, n) })
        const all =
          cross === undefined
            ? sum
            : target.node('Add', [sum, toFloats(target, cross, matrix, crossRows, undefined)], {
                shape: floatShape(-1, n),
              })
        return hidden ? roundToBytes(target, all, n) : all
      })
    }
  }

  function partsOf(sides: Sides): Emit {
    return (plan, group) => {
      const x = bytes(plan, group[0].segments, sides, ['candidate'])!
      const rows = rowIndexes(group[0].segments, sides, ['candidate'])
      return group.map((layer) => toFloats(plan.graph, x, made.get(layer)!.matrix, rows, undefined))
    }
  }

  /** What comes after the first layers: products of hidden layers that are bytes now. */
  function finish({ graph: target, replaced }: PlanGraph): void {
    const open = [...replaced].flatMap(([layer, name]) => (made.get(layer)!.hidden ? [name] : []))
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      for (const user of [...target.users(name)]) {
        if (user.opType === 'Split') {
          for (const part of user.output) {
            const { dims } = target.shapes.get(part)!
            target.shapes.set(part, { dtype: DataType.UINT8, dims })
            open.push(part)
          }
          continue
        }
        const replaced = quantiseProduct(target, user, name)
        if (replaced !== undefined) open.push(replaced)
      }
    }
    target.tidy()
  }

  /** A product of bytes; answers the bytes it leads to, if it leads to bytes. */
  function quantiseProduct(target: Graph, gemm: NodeProto, x: string): string | undefined {
    const { k, n, w, b } = weightsOf(target, gemm)
    const [relu] = target.users(gemm.output[0]!)
    const hidden = relu?.opType === 'Relu' && options.hidden.has(relu.output[0]!)
    const matrix = toInt8(w, k, n, !hidden && options.refine === 'all')
    const rows = Array.from({ length: k }, (_, i) => i)
    if (!hidden) {
      const product = toFloats(target, x, matrix, rows, b)
      drop(target, gemm, gemm.output[0]!, product)
      return undefined
    }
    const sums = Int32Array.from(b, (value, j) => Math.round(value / matrix.scale[j]!))
    const bytes = toBytes(target, x, matrix, rows, target.constant('sums', sums, [n]))
    const name = relu.output[0]!
    target.nodes.splice(target.nodes.indexOf(gemm), 1)
    drop(target, relu, name, bytes)
    return bytes
  }
}

function drop(graph: Graph, node: NodeProto, output: string, replacement: string): void {
  graph.nodes.splice(graph.nodes.indexOf(node), 1)
  graph.touch()
  graph.replace(output, replacement)
}

/** bytes(x·Q·scale), negative ones 0: [batch, k] → [batch, n]. `sums` int32 is added before scaling. */
function toBytes(graph: Graph, x: string, matrix: Int8Matrix, rows: number[], sums: string): string {
  const { n, q, scale } = matrix
  const [one, zero] = [scalar(graph, 'one'), scalar(graph, 'zero')]
  const weights = graph.constant('int8', pickRows(q, n, rows), [rows.length, n])
  const inputs = [x, one, zero, weights, graph.constant('scale', scale, [n]), zeros(graph, n), sums, one, zero]
  return graph.node('QGemm', inputs, { domain: microsoft, shape: { dtype: DataType.UINT8, dims: [-1, n] } })
}

/** x·Q·scale + bias: [batch, k] → float32 [batch, n]. */
function toFloats(
  graph: Graph,
  x: string,
  { n, q, scale, fine }: Int8Matrix,
  rows: number[],
  bias: Float32Array | undefined,
  batch = -1,
): string {
  const term = (q: Int8Array, scale: Float32Array, bias: Float32Array | undefined) => {
    const inputs = [
      x,
      graph.constant('int8', pickRows(q, n, rows), [rows.length, n]),
      scalar(graph, 'one'),
      graph.constant('scale', scale, [n]),
      scalar(graph, 'zero'),
      zeros(graph, n),
    ]
    if (bias !== undefined) inputs.push(graph.constant('bias', bias, [n]))
    return graph.node('MatMulIntegerToFloat', inputs, { domain: microsoft, shape: floatShape(batch, n) })
  }
  const coarse = term(q, scale, bias)
  if (fine === undefined) return coarse
  return graph.node('Add', [coarse, term(fine.q, fine.scale, undefined)], { shape: floatShape(batch, n) })
}

function roundToBytes(graph: Graph, x: string, n: number): string {
  const shape: TensorShape = { dtype: DataType.UINT8, dims: [-1, n] }
  return graph.node('QuantizeLinear', [x, scalar(graph, 'one'), scalar(graph, 'zero')], { shape })
}

/** 1 as float32, 0 as a byte: once a graph. */
function scalar(graph: Graph, which: 'one' | 'zero'): string {
  const name = `int8/${which}`
  if (graph.constants.has(name)) return name
  return graph.constant(name, which === 'one' ? Float32Array.of(1) : Uint8Array.of(0), [])
}

function zeros(graph: Graph, n: number): string {
  const name = `int8/zeros:${n}`
  return graph.constants.has(name) ? name : graph.constant(name, new Int8Array(n), [n])
}

/** Weights by column, symmetric: 127 is the largest of each. With `fine`, what rounding left, in the same way. */
function toInt8(w: ArrayLike<number>, k: number, n: number, fine: boolean): Int8Matrix {
  const { q, scale } = roundColumns(w, k, n)
  if (!fine) return { k, n, q, scale, fine: undefined }
  const rest = Float64Array.from(w, (value, i) => value - q[i]! * scale[i % n]!)
  return { k, n, q, scale, fine: roundColumns(rest, k, n) }
}

function roundColumns(w: ArrayLike<number>, k: number, n: number): { q: Int8Array; scale: Float32Array } {
  const scale = new Float32Array(n)
  for (let i = 0; i < k * n; i++) scale[i % n] = Math.max(scale[i % n]!, Math.abs(w[i]!))
  for (let j = 0; j < n; j++) scale[j] = scale[j]! > 0 ? scale[j]! / 127 : 1
  return { q: Int8Array.from(w, (value, i) => Math.max(-127, Math.min(127, Math.round(value / scale[i % n]!)))), scale }
}

function sideBySide(parts: { n: number; data: Int8Array }[], k: number): Int8Array {
  const width = parts.reduce((sum, { n }) => sum + n, 0)
  const joined = new Int8Array(k * width)
  let column = 0
  for (const { n, data } of parts) {
    for (let row = 0; row < k; row++) joined.set(data.subarray(row * n, (row + 1) * n), row * width + column)
    column += n
  }
  return joined
}
