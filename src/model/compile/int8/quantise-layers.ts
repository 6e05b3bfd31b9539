import type { Effort } from '../../contracts/compiled-plan.ts'
import type { Segment } from '../../graph/columns.ts'
import { weightsOf } from '../../graph/gemm.ts'
import type { Graph } from '../../graph/graph.ts'
import type { FirstLayer, Group, Sides } from '../sides/contract.ts'
import { groupsOf } from '../sides/side-graphs.ts'
import { steps } from './equalise.ts'
import { type Int8Matrix, toInt8 } from './int8-matrix.ts'
import { type FieldIds, quantiseTable, type TableScales } from './quantised-table.ts'

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

/** New values may lie so far outside the range of those that set the scales. */
const headroom = 1.5

/** A value is repeated so often at most. */
const mostRepeats = 16

/** Which segment of a product's features: others may be made of the same columns in another way. */
export function rangeKey(features: string, segment: number): string {
  return `${features}:${segment}`
}

/** A segment of features as bytes: value = lo + step·byte. */
export interface QuantisedSegment {
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
export interface QuantisedLayer {
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

/** Brings first layers into int8: their features are bytes, whose scales are folded into the weights. */
export function quantiseLayers(
  graph: Graph,
  layers: FirstLayer[],
  options: QuantiseOptions,
): { made: Map<FirstLayer, QuantisedLayer>; features: Map<Segment, QuantisedSegment> } {
  const { effort, tables } = options
  const made = new Map<FirstLayer, QuantisedLayer>()
  const features = new Map<Segment, QuantisedSegment>()
  for (const group of groupsOf(layers)) quantiseGroup(group)
  return { made, features }

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
