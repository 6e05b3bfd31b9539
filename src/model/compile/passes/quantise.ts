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
  groupsOf,
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
  /** Tables that have been rounded before, by name. */
  tables: Map<string, TableScales>
  /** Per input of ids, per column the ids that it can hold: each field's rows of the table then have scales of their own. */
  fields: Record<string, FieldIds[]>
  effort: Effort
}

/** What is paid for exactness, in work. */
export interface Effort {
  /**
   * How many times larger than the weights of tables a value's weights may be, on average, before the value is repeated
   * so that each copy has a share of them.
   */
  spread: number
  /**
   * How often every input of a product that makes a hidden layer is repeated: its weights then are sums of so many int8,
   * which divides their rounding error, and multiplies the work, by as much.
   */
  copies: number
  /**
   * Products whose weights are written as two int8 terms: those that make no hidden layer of the first (`gates`), or of
   * any (`all`).
   */
  refine: 'none' | 'gates' | 'all'
}

/** New values may lie so far outside the range of those that set the scales. */
const headroom = 1.5

/** A value is repeated so often at most. */
const mostRepeats = 16

/** Which segment of a product's features: others may be made of the same columns in another way. */
export function rangeKey(features: string, segment: number): string {
  return `${features}:${segment}`
}

/** A matrix [k, n] as int8 by column: w ≈ scale[j]·q (+ fine scale[j]·fine q). */
interface Int8Matrix {
  k: number
  n: number
  q: Int8Array
  scale: Float32Array
  fine: { q: Int8Array; scale: Float32Array } | undefined
}

/** A segment of features as bytes: value = lo + step·byte. */
interface QuantisedSegment {
  table: TableScales | undefined
  /** How often each column is there. */
  repeats: number[]
  /** [step, lo] of column i, dimension d. */
  at(i: number, d: number): [number, number]
  /** Of values: step and the byte that stands for 0, by column. */
  scale: Float32Array
  zero: Uint8Array
}

/** A first layer's int8 form: x·W + b ≈ scale·(q·Q) + offset, where the bytes q are x's. */
interface QuantisedLayer {
  matrix: Int8Matrix
  /** Its segments. */
  quantised: QuantisedSegment[]
  /** Per feature its first row of the matrix. */
  starts: number[]
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
  const { effort, tables } = options
  const layers = firstLayers(graph)
  if (layers.length === 0) throw new Error('no product of features was found')
  const made = new Map<FirstLayer, QuantisedLayer>()
  const features = new Map<Segment, QuantisedSegment>()
  for (const layer of layers) {
    // The ReLU after a hidden layer's product is replaced with it.
    const [relu, ...more] = graph.users(layer.gemm.output[0]!)
    if (relu?.opType === 'Relu' && more.length === 0 && options.hidden.has(relu.output[0]!))
      layer.output = relu.output[0]!
  }
  for (const group of groupsOf(layers)) quantiseGroup(group)

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
    if (split.fresh) finish(split.fresh)
    if (split.parts) finish(split.parts)
    if (split.known) finish(split.known)
  }
  return { whole, split }

  function quantiseSegment(segment: Segment, key: string): QuantisedSegment {
    const { table: name, columns, dim } = segment
    const repeats = new Array<number>(columns.length).fill(effort.copies)
    if (name !== undefined) {
      const table = tables.get(name) ?? quantiseTable(graph, name, fieldsOf(name))
      tables.set(name, table)
      const field = (i: number) => options.fields[segment.input]?.[columns[i]!]
      return { table, repeats, at: (i, d) => table.at(field(i), d), scale: new Float32Array(), zero: new Uint8Array() }
    }
    if (dim !== 1) throw new Error('values have one column each')
    const range = options.ranges.get(key)
    if (range === undefined) throw new Error(`no values of the input ${segment.input} are known`)
    const scale = new Float32Array(columns.length)
    const zero = new Uint8Array(columns.length)
    // 0 must be among the values: then it is exact, and the zero point is a byte.
    const [lo, hi] = [range.lo.map((value) => Math.min(0, value)), range.hi.map((value) => Math.max(0, value))]
    const live = columns.map((_, i) => i).filter((i) => hi[i]! > lo[i]!)
    const mean = (values: Float32Array) => live.reduce((sum, i) => sum + values[i]!, 0) / Math.max(1, live.length)
    const usual = { lo: mean(lo), hi: mean(hi) }
    columns.forEach((_, i) => {
      // Of a column that was always 0 nothing is known: it gets the others' range.
      const [least, most] = hi[i]! > lo[i]! ? [lo[i]!, hi[i]!] : [usual.lo, usual.hi]
      scale[i] = ((most - least || 1) * headroom) / steps
      zero[i] = Math.round((-least * headroom) / scale[i]!)
    })
    return { table: undefined, repeats, at: (i) => [scale[i]!, -scale[i]! * zero[i]!], scale, zero }
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
          if (!found.some(({ offset, ids: count }) => offset === ids.offset && count === ids.ids)) found.push(ids)
        }
      }
    // Of two that begin at the same id the first has none, or they overlap.
    found.sort((a, b) => a.offset - b.offset || a.ids - b.ids)
    const apart = found.every(({ offset }, i) => i === 0 || offset >= found[i - 1]!.offset + found[i - 1]!.ids)
    return apart ? found : undefined
  }

  function quantiseGroup(group: Group): void {
    const [{ segments, gemm }] = group
    const quantised = segments.map((segment, i) => {
      const known = quantiseSegment(segment, rangeKey(gemm.input[0]!, i))
      features.set(segment, known)
      return known
    })
    const scaled = group.map(({ gemm }) => {
      const { k, n, w, b } = weightsOf(graph, gemm)
      const weights = new Float64Array(k * n)
      const offset = Float64Array.from(b)
      eachRow(segments, (row, segment, i, d) => {
        const [step, lo] = quantised[segment]!.at(i, d)
        for (let j = 0; j < n; j++) {
          weights[row * n + j] = w[row * n + j]! * step
          offset[j]! += w[row * n + j]! * lo
        }
      })
      return { weights, offset, n }
    })
    // A value whose weights are far larger than an embedding's would leave those few of the 256 steps: it is repeated,
    // and each copy has a share of its weights.
    const isTable: boolean[] = []
    eachRow(segments, (_, segment) => isTable.push(quantised[segment]!.table !== undefined))
    eachRow(segments, (row, segment, i) => {
      const { table, repeats } = quantised[segment]!
      if (table !== undefined) return
      const ratio = Math.max(...scaled.map(({ weights, n }) => shareOf(weights, n, row, isTable)))
      repeats[i] = Math.max(1, Math.min(mostRepeats, Math.ceil((ratio * effort.copies) / effort.spread)))
    })
    group.forEach((layer, g) => {
      const { weights, offset, n } = scaled[g]!
      const hidden = layer.output !== layer.gemm.output[0]
      const repeats: number[] = []
      eachRow(segments, (_, segment, i) => repeats.push(quantised[segment]!.repeats[i]!))
      const starts: number[] = []
      let k = 0
      for (const count of repeats) {
        starts.push(k)
        k += count
      }
      const matrix = toInt8(weights, n, repeats, !hidden && effort.refine !== 'none')
      made.set(layer, { matrix, offset, hidden, starts, quantised })
    })
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
      const { table, scale, zero, repeats } = features.get(segment)!
      if (table !== undefined) {
        table.addTo(target)
        const once = embed(target, table.name, values, [batch, positions.length, segment.dim])
        const size = positions.length * segment.dim
        for (let copy = 0; copy < effort.copies; copy++) parts.push(once)
        width += size * effort.copies
        continue
      }
      // Copies are shifted by fractions of a step, and so together as fine as their number: Σ round(x + δᵢ) ≈ n·x.
      const copies = positions.flatMap((i, place) =>
        Array.from({ length: repeats[i]! }, (_, copy) => ({ i, place, shift: (copy + 0.5) / repeats[i]! - 0.5 })),
      )
      const count = copies.length
      width += count
      let x = values
      if (count > positions.length) {
        const places = target.integers(copies.map(({ place }) => place))
        const shifts = Float32Array.from(copies, ({ i, shift }) => shift * scale[i]!)
        const shape = floatShape(batch, count)
        x = target.node('Gather', [x, places], { attributes: { axis: 1 }, shape })
        x = target.node('Add', [x, target.constant('values/shift', shifts, [count])], { shape })
      }
      const names = [
        target.constant(
          'values/scale',
          Float32Array.from(copies, ({ i }) => scale[i]!),
          [count],
        ),
        target.constant(
          'values/zero',
          Uint8Array.from(copies, ({ i }) => zero[i]!),
          [count],
        ),
      ]
      const shape: TensorShape = { dtype: DataType.UINT8, dims: [batch, count] }
      parts.push(target.node('QuantizeLinear', [x, ...names], { attributes: { axis: 1 }, shape }))
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
    const rows = rowsOf(members[0]!, sides, ['context'])
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

  /** Rows of a layer's matrix that these sides' features meet, in the order of `bytes`. */
  function rowsOf(layer: FirstLayer, sides: Sides, wanted: Side[]): number[] {
    const { starts, quantised } = made.get(layer)!
    const rows: number[] = []
    let first = 0
    for (const [i, segment] of layer.segments.entries()) {
      const { table, repeats } = quantised[i]!
      const own = rowIndexes([segment], sides, wanted)
      if (table !== undefined)
        for (let copy = 0; copy < effort.copies; copy++) for (const row of own) rows.push(starts[first + row]! + copy)
      else
        for (const row of own) for (let copy = 0; copy < repeats[row]!; copy++) rows.push(starts[first + row]! + copy)
      first += segment.columns.length * segment.dim
    }
    return rows
  }

  function freshOf(sides: Sides): Emit {
    return (plan, group) => {
      const [{ segments }] = group
      const context = bytes(plan, segments, sides, ['context'])
      const x = bytes(plan, segments, sides, ['candidate', 'cross'])!
      const sums = contextSums(plan, group, sides, context)
      const rows = rowsOf(group[0], sides, ['candidate', 'cross'])
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
    const rows = rowsOf(layer, sides, ['context'])
    return toFloats(plan.graph, x, matrix, rows, Float32Array.from(offset), 1)
  }

  function knownOf(sides: Sides): Emit {
    return (plan, group) => {
      const { graph: target } = plan
      const [{ segments }] = group
      const context = bytes(plan, segments, sides, ['context'])
      const cross = bytes(plan, segments, sides, ['cross'])
      const crossRows = rowsOf(group[0], sides, ['cross'])
      const sums = contextSums(plan, group, sides, context)
      return group.map((layer) => {
        const { matrix, offset, hidden } = made.get(layer)!
        const { n } = matrix
        const part = knownPart(plan, layers.indexOf(layer), n)
        const shape = floatShape(-1, n)
        const add = (terms: string[]) => terms.reduce((sum, term) => target.node('Add', [sum, term], { shape }))
        const crossed =
          cross === undefined ? [] : [toFloats(target, cross, hidden ? sumsOf(matrix) : matrix, crossRows, undefined)]
        if (!hidden) {
          const rest =
            context === undefined
              ? target.constant('offset', Float32Array.from(offset), [n])
              : contextFloats(plan, layer, sides, context)
          return add([part, rest, ...crossed])
        }
        const constant = target.constants.has(sums.get(layer)!)
        const rest = target.node('Cast', [sums.get(layer)!], {
          attributes: { to: DataType.FLOAT },
          shape: floatShape(constant ? -1 : 1, n),
        })
        const scaled = target.node(
          'Mul',
          [add([part, rest, ...crossed]), target.constant('sums/scale', matrix.scale, [n])],
          { shape },
        )
        return roundToBytes(target, scaled, n)
      })
    }
  }

  /** Of a hidden layer the parts are sums of integers, which float32 adds without rounding: so all plans scale the same sum. */
  function partsOf(sides: Sides): Emit {
    return (plan, group) => {
      const x = bytes(plan, group[0].segments, sides, ['candidate'])!
      const rows = rowsOf(group[0], sides, ['candidate'])
      return group.map((layer) => {
        const { matrix, hidden } = made.get(layer)!
        return toFloats(plan.graph, x, hidden ? sumsOf(matrix) : matrix, rows, undefined)
      })
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
    const copies = hidden ? effort.copies : 1
    const matrix = toInt8(w, n, new Array<number>(k).fill(copies), !hidden && effort.refine === 'all')
    // Copies stand side by side: row i of the first, of the second, …
    const rows = Array.from({ length: k * copies }, (_, i) => (i % k) * copies + Math.floor(i / k))
    if (!hidden) {
      const product = toFloats(target, x, matrix, rows, b)
      drop(target, gemm, gemm.output[0]!, product)
      return undefined
    }
    const sums = Int32Array.from(b, (value, j) => Math.round(value / matrix.scale[j]!))
    const all = copies === 1 ? x : sideBySideCopies(target, x, copies, k)
    const bytes = toBytes(target, all, matrix, rows, target.constant('sums', sums, [n]))
    const name = relu.output[0]!
    target.nodes.splice(target.nodes.indexOf(gemm), 1)
    drop(target, relu, name, bytes)
    return bytes
  }
}

function sideBySideCopies(graph: Graph, x: string, copies: number, k: number): string {
  const shape: TensorShape = { dtype: DataType.UINT8, dims: [-1, k * copies] }
  return graph.node('Concat', new Array<string>(copies).fill(x), { attributes: { axis: 1 }, shape })
}

function drop(graph: Graph, node: NodeProto, output: string, replacement: string): void {
  graph.nodes.splice(graph.nodes.indexOf(node), 1)
  graph.touch()
  graph.replace(output, replacement)
}

/** Adds to what the last sigmoid of a graph reads, by column. */
export function shiftLogits(graph: Graph, shift: Float32Array): void {
  const sigmoid = graph.producer(graph.outputs[0]!.name)
  const logits = sigmoid?.input[0]
  if (sigmoid === undefined || logits === undefined) return
  const product = graph.producer(logits)
  const bias = product?.opType === 'MatMulIntegerToFloat' ? product.input[6] : undefined
  const values = bias === undefined ? undefined : graph.floats(bias)
  if (
    product !== undefined &&
    bias !== undefined &&
    values?.length === shift.length &&
    graph.isPrivate(logits, sigmoid)
  ) {
    const sum = values.map((value, i) => value + shift[i]!)
    product.input = [...product.input.slice(0, 6), graph.constant('bias', sum, [sum.length])]
  } else {
    const shape = graph.shapes.get(logits)
    const shifted = graph.node('Add', [logits, graph.constant('shift', shift, [shift.length])], shape ? { shape } : {})
    sigmoid.input = [shifted]
  }
  graph.touch()
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

/** The matrix without its scale: what a product with it answers are integers. */
function sumsOf({ k, n, q }: Int8Matrix): Int8Matrix {
  return { k, n, q, scale: new Float32Array(n).fill(1), fine: undefined }
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

/** Calls back for each feature: its row of a first layer's matrix, its segment, column and dimension. */
function eachRow(segments: Segment[], callback: (row: number, segment: number, i: number, d: number) => void): void {
  let row = 0
  segments.forEach(({ columns, dim }, segment) => {
    for (let i = 0; i < columns.length; i++) for (let d = 0; d < dim; d++) callback(row++, segment, i, d)
  })
}

/** How much larger a row's weights are than the largest of the rows of tables: the root of the mean square over columns. */
function shareOf(weights: Float64Array, n: number, row: number, isTable: readonly boolean[]): number {
  if (!isTable.includes(true)) return 1
  let sum = 0
  let columns = 0
  for (let j = 0; j < n; j++) {
    let largest = 0
    for (let other = 0; other < isTable.length; other++)
      if (isTable[other]) largest = Math.max(largest, Math.abs(weights[other * n + j]!))
    if (largest === 0) continue
    sum += (weights[row * n + j]! / largest) ** 2
    columns++
  }
  return columns === 0 ? 1 : Math.sqrt(sum / columns)
}

/**
 * Weights by column, symmetric: 127 is the largest of each. A row that is there several times has a share of its weight
 * in each, which add up to its weight rounded. With `fine`, what rounding left, in the same way.
 */
function toInt8(w: ArrayLike<number>, n: number, repeats: readonly number[], fine: boolean): Int8Matrix {
  const k = repeats.reduce((sum, count) => sum + count, 0)
  const coarse = roundColumns(w, n, repeats)
  if (!fine) return { k, n, ...coarse, fine: undefined }
  const rest = Float64Array.from(w)
  let row = 0
  repeats.forEach((count, from) => {
    for (let i = 0; i < count; i++, row++)
      for (let j = 0; j < n; j++) rest[from * n + j]! -= coarse.q[row * n + j]! * coarse.scale[j]!
  })
  return { k, n, ...coarse, fine: roundColumns(rest, n, repeats) }
}

function roundColumns(
  w: ArrayLike<number>,
  n: number,
  repeats: readonly number[],
): { q: Int8Array; scale: Float32Array } {
  const scale = new Float32Array(n)
  repeats.forEach((count, from) => {
    for (let j = 0; j < n; j++) scale[j] = Math.max(scale[j]!, Math.abs(w[from * n + j]!) / count)
  })
  for (let j = 0; j < n; j++) scale[j] = scale[j]! > 0 ? scale[j]! / 127 : 1
  const q = new Int8Array(repeats.reduce((sum, count) => sum + count, 0) * n)
  let row = 0
  repeats.forEach((count, from) => {
    for (let j = 0; j < n; j++) {
      let left = Math.round(w[from * n + j]! / scale[j]!)
      for (let i = 0; i < count; i++) {
        const share = Math.round(left / (count - i))
        q[(row + i) * n + j] = Math.max(-127, Math.min(127, share))
        left -= share
      }
    }
    row += count
  })
  return { q, scale }
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
