import type { Effort } from '../../contracts/compiled-plan.ts'
import { weightsOf } from '../ir/gemm.ts'
import type { Graph } from '../ir/graph.ts'
import { isOfItems } from '../ir/tensor-shape.ts'
import type { Segment } from '../sides/columns.ts'
import { groupsOf } from '../sides/side-graphs.ts'
import type { CutGraph, FirstLayer } from '../sides/split-graphs.ts'
import { steps as byteSteps } from './equalise.ts'
import { type Int8Matrix, toInt8 } from './int8-matrix.ts'
import { type FieldIds, quantiseTable, type TableScales } from './quantised-table.ts'

/** Smallest and largest value of each column of a segment, over some rows. */
export interface Range {
  lo: Float32Array
  hi: Float32Array
}

export interface QuantiseOptions {
  /** Outputs of ReLUs with values from 0 to 255, see `equalise`. */
  hidden: Set<string>
  /** Observed ranges of features that are values rather than ids, by `rangeKey`. */
  ranges: Map<string, Range>
  /** Why the graph is not split by side, if so. */
  unsplit: string | undefined
  /** Tables that are already quantised, by name. */
  tables: Map<string, TableScales>
  /** Per input of ids, the ids that each column can hold: then each field's rows of a table have their own scales. */
  fields: Record<string, FieldIds[]>
  effort: Effort
  /** Products of pairs and of candidates that are joined in float32: they stay so. */
  joined: ReadonlySet<string>
}

/** Ratio of the representable range to the observed one, for values outside the observed range. */
const headroom = 1.5

/** Maximum copies of one value column. */
const mostRepeats = 16

/** Identifies a segment of a product's features: the same columns may be transformed differently elsewhere. */
export function rangeKey(features: string, segment: number): string {
  return `${features}:${segment}`
}

/** A segment of features as bytes: value = lo + step·byte. */
export interface QuantisedSegment {
  table: TableScales | undefined
  /** Number of copies of each column; the same for all computed values of a segment. */
  repeats: number[]
  /** [step, lo] of column i, dimension d. */
  at(i: number, d: number): [number, number]
  /** For values: step, and the byte that represents 0, per column. */
  scale: Float32Array
  zero: Uint8Array
  steps: Steps
}

/**
 * How values are rounded: by the step of each column, as inputs are; multiplied first, as computed values are; or by
 * one step for all columns, as values of lists are. Rows of tables are bytes already, with steps of their own.
 *
 * ONNX Runtime takes 20 ns to round a value by the step of its column, 0.3 ns by one step, and as much to multiply it
 * first, which would cost lists of hundreds of thousands what int8 saves.
 */
export type Steps = 'of column' | 'multiplied' | 'uniform' | 'of row'

/** A first layer in int8: x·W + b ≈ scale·(q·Q) + offset, where q are the bytes of x. */
export interface QuantisedLayer {
  matrix: Int8Matrix
  quantised: QuantisedSegment[]
  /** Per feature, its first row in the matrix. */
  starts: number[]
  /** b plus the contribution of the zero points of x: [n]. */
  offset: Float64Array
  /** Whether a ReLU follows whose output is bytes. */
  hidden: boolean
}

export interface QuantisedLayers {
  layers: Map<FirstLayer, QuantisedLayer>
  segments: Map<Segment, QuantisedSegment>
}

/**
 * Quantises first layers: their features become bytes, whose scales are folded into the weights. `mixed`: products of
 * other values.
 */
export function quantiseLayers(
  { whole, rest: graph }: CutGraph,
  layers: FirstLayer[],
  mixed: FirstLayer[],
  options: QuantiseOptions,
): QuantisedLayers {
  const stepsOf = ({ input }: Segment): Steps => {
    if (isOfItems(graph.shapes.get(input))) return 'uniform'
    return whole.inputs.some(({ name }) => name === input) ? 'of column' : 'multiplied'
  }
  const quantised: QuantisedLayers = { layers: new Map(), segments: new Map() }
  for (const group of groupsOf([...layers, ...mixed])) {
    const [{ segments, gemm }] = group
    const own = segments.map((segment, i) =>
      segment.table === undefined
        ? quantiseValues(segment, options.ranges.get(rangeKey(gemm.input[0]!, i)), stepsOf(segment), options)
        : quantiseIds(segment, segment.table, graph, layers, options),
    )
    for (const layer of group)
      layer.segments.forEach((segment, i) => {
        quantised.segments.set(segment, own[i]!)
      })
    const scaled = group.map((layer) => foldScales(graph, layer, own))
    repeatValues(segments, own, scaled, options.effort)
    group.forEach((layer, i) => {
      const { refine } = options.effort
      const fine = mixed.includes(layer) ? refine === 'all' : refine !== 'none'
      quantised.layers.set(layer, toLayer(layer, own, scaled[i]!, fine))
    })
  }
  return quantised
}

function quantiseIds(
  segment: Segment,
  name: string,
  graph: Graph,
  layers: FirstLayer[],
  { tables, fields, effort }: QuantiseOptions,
): QuantisedSegment {
  const table = tables.get(name) ?? quantiseTable(graph, name, fieldsOf(name, layers, fields))
  tables.set(name, table)
  return {
    table,
    repeats: new Array<number>(segment.columns.length).fill(effort.copies),
    at: (i, d) => table.at(rowsOfColumn(segment, i, fields), d),
    scale: new Float32Array(),
    zero: new Uint8Array(),
    steps: 'of row',
  }
}

function quantiseValues(
  { input, columns, dim }: Segment,
  observed: Range | undefined,
  steps: Steps,
  { effort }: QuantiseOptions,
): QuantisedSegment {
  if (dim !== 1) throw new Error('values have one column each')
  if (observed === undefined) throw new Error(`no values of the input ${input} are known`)
  const repeats = new Array<number>(columns.length).fill(effort.copies)
  const scale = new Float32Array(columns.length)
  const zero = new Uint8Array(columns.length)
  const { lo, hi } = rangeFor(observed, steps)
  const live = columns.map((_, i) => i).filter((i) => hi[i]! > lo[i]!)
  const mean = (values: Float32Array) => live.reduce((sum, i) => sum + values[i]!, 0) / Math.max(1, live.length)
  const usual = { lo: mean(lo), hi: mean(hi) }
  columns.forEach((_, i) => {
    // Nothing is known of a column that was always 0: it gets the mean range of the others.
    const [least, most] = hi[i]! > lo[i]! ? [lo[i]!, hi[i]!] : [usual.lo, usual.hi]
    scale[i] = ((most - least || 1) * headroom) / byteSteps
    zero[i] = Math.round((-least * headroom) / scale[i]!)
  })
  return { table: undefined, repeats, at: (i) => [scale[i]!, -scale[i]! * zero[i]!], scale, zero, steps }
}

/** The range of each column, which includes 0, so that 0 is exact and the zero point is a byte. */
function rangeFor(observed: Range, steps: Steps): Range {
  const [lo, hi] = [observed.lo.map((value) => Math.min(0, value)), observed.hi.map((value) => Math.max(0, value))]
  if (steps !== 'uniform') return { lo, hi }
  const [least, most] = [Math.min(...lo), Math.max(...hi)]
  return { lo: lo.map(() => least), hi: hi.map(() => most) }
}

/** The rows of a table that a column of its look-up can read; undefined where they are not known. */
function rowsOfColumn(
  { input, columns, added }: Segment,
  i: number,
  fields: QuantiseOptions['fields'],
): FieldIds | undefined {
  const ids = fields[input]?.[columns[i]!]
  return ids && added && { offset: ids.offset + added[i]!, ids: ids.ids }
}

/** All rows of a table that may be looked up; undefined unless they are known and each belongs to one field. */
function fieldsOf(table: string, layers: FirstLayer[], fields: QuantiseOptions['fields']): FieldIds[] | undefined {
  const found: FieldIds[] = []
  for (const { segments } of layers)
    for (const segment of segments) {
      if (segment.table !== table) continue
      for (const i of segment.columns.keys()) {
        const ids = rowsOfColumn(segment, i, fields)
        if (ids === undefined) return undefined
        if (!found.some(({ offset, ids: count }) => offset === ids.offset && count === ids.ids)) found.push(ids)
      }
    }
  // If two fields begin at the same id, the first has no ids, or they overlap.
  found.sort((a, b) => a.offset - b.offset || a.ids - b.ids)
  const apart = found.every(({ offset }, i) => i === 0 || offset >= found[i - 1]!.offset + found[i - 1]!.ids)
  return apart ? found : undefined
}

/** Weights and bias of a first layer over bytes instead of features. */
interface FoldedLayer {
  /** [k, n], row-major. */
  weights: Float64Array
  offset: Float64Array
  n: number
}

function foldScales(graph: Graph, { gemm, segments }: FirstLayer, quantised: QuantisedSegment[]): FoldedLayer {
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
}

/**
 * Repeats values whose weights are far larger than those of embeddings, which would leave embeddings few of the 256
 * steps: each copy has a share of the weights.
 */
function repeatValues(segments: Segment[], quantised: QuantisedSegment[], layers: FoldedLayer[], effort: Effort): void {
  const isTable: boolean[] = []
  eachRow(segments, (_, segment) => isTable.push(quantised[segment]!.table !== undefined))
  const ratios = quantised.map(() => [] as number[])
  eachRow(segments, (row, segment) => {
    if (quantised[segment]!.table === undefined)
      ratios[segment]!.push(Math.max(...layers.map(({ weights, n }) => shareOf(weights, n, row, isTable))))
  })
  const repeatsFor = (ratio: number) =>
    Math.max(1, Math.min(mostRepeats, Math.ceil((ratio * effort.copies) / effort.spread)))
  quantised.forEach(({ table, steps, repeats }, segment) => {
    const own = ratios[segment]!
    if (table !== undefined) return
    if (steps === 'of column')
      own.forEach((ratio, i) => {
        repeats[i] = repeatsFor(ratio)
      })
    // Copies of all columns cost less than those of some.
    else repeats.fill(repeatsFor(Math.sqrt(own.reduce((sum, ratio) => sum + ratio ** 2, 0) / own.length)))
  })
}

function toLayer(
  { segments, gemm, output }: FirstLayer,
  quantised: QuantisedSegment[],
  { weights, offset, n }: FoldedLayer,
  fine: boolean,
): QuantisedLayer {
  const hidden = output !== gemm.output[0]
  const repeats: number[] = []
  eachRow(segments, (_, segment, i) => repeats.push(quantised[segment]!.repeats[i]!))
  const starts: number[] = []
  let k = 0
  for (const count of repeats) {
    starts.push(k)
    k += count
  }
  const matrix = toInt8(weights, n, repeats, !hidden && fine)
  return { matrix, offset, hidden, starts, quantised }
}

/** Calls back for each feature: its row of a first layer's matrix, its segment, column and dimension. */
function eachRow(segments: Segment[], callback: (row: number, segment: number, i: number, d: number) => void): void {
  let row = 0
  segments.forEach(({ columns, dim }, segment) => {
    for (let i = 0; i < columns.length; i++) for (let d = 0; d < dim; d++) callback(row++, segment, i, d)
  })
}

/** Ratio of a row's weights to the largest weights of embedding rows: root mean square over columns. */
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
