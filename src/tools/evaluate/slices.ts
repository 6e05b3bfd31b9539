import { quantile, type Resampling } from '../../model/quality/bootstrap.ts'
import { judge } from '../../model/quality/judge.ts'
import { count, createPick, divide } from '../../model/quality/parts.ts'
import type { Slice } from '../../schemas/evaluation.ts'
import { type CellColumn, StringColumn } from '../data/columns.ts'
import type { Dataset } from '../data/dataset.ts'
import { ListColumn } from '../data/list-column.ts'
import type { PredictorField } from './predictor.ts'
import type { TaskRows } from './task-rows.ts'

/** Rows and positives below which a value is judged with others. */
const leastRows = 200
const leastPositives = 10
/** Most values of a field that is sliced without being asked for. */
const fewValues = 50
/** Most slices by value per field. */
const mostValues = 100
/** Ranges of numbers. */
const ranges = 5

/** Judged rows by the value of a field. */
export interface Slicing {
  field: string
  /** Per judged row, the number of its slice. */
  of: Uint16Array
  slices: Pick<Slice, 'value' | 'kind'>[]
}

/**
 * Slices of the judged rows: by the fields and columns asked for, else by each field of few values; and by each field
 * with values that the model does not know. Lists are sliced by how many values they have. `unknown`: see `ScoredPart`.
 */
export function sliceRows(
  asked: readonly string[] | undefined,
  fields: readonly PredictorField[],
  dataset: Dataset,
  rows: Int32Array,
  unknown: ReadonlyMap<string, Uint8Array>,
): Slicing[] {
  const slicings: Slicing[] = []
  fields.forEach(({ name }, index) => {
    const marks = unknown.get(name)
    const column = dataset.cells[index]!
    const few = column instanceof StringColumn && column.values.length <= fewValues
    if (asked ? asked.includes(name) : few) slicings.push(sliceBy(name, column, rows, marks))
    else if (marks) slicings.push(sliceUnknown(name, rows.length, marks))
  })
  for (const { name, column } of dataset.slices) slicings.push(sliceBy(name, column, rows, undefined))
  return slicings
}

function sliceUnknown(field: string, rows: number, marks: Uint8Array): Slicing {
  const slices: Slicing['slices'] = [
    { value: 'known', kind: 'others' },
    { value: 'unknown', kind: 'unknown' },
  ]
  return { field, of: Uint16Array.from({ length: rows }, (_, i) => marks[i]!), slices }
}

function sliceBy(field: string, column: CellColumn, rows: Int32Array, marks: Uint8Array | undefined): Slicing {
  const slices: Slicing['slices'] = []
  const numbers = new Map<string, number>()
  const numberOf = ({ value, kind }: Slicing['slices'][number]) => {
    const key = `${kind} ${value}`
    const number = numbers.get(key) ?? slices.push({ value, kind }) - 1
    numbers.set(key, number)
    return number
  }
  const classes = column instanceof StringColumn ? frequent(column, rows) : rangesOf(amountOf(column), rows)
  // Each class is named once, and in the order of its first row.
  const numberOfClass: (number | undefined)[] = []
  const of = Uint16Array.from(rows, (row, i) => {
    if (marks?.[i]) return numberOf({ value: 'unknown', kind: 'unknown' })
    const place = classes.of(row)
    if (place < 0) return numberOf({ value: 'missing', kind: 'missing' })
    numberOfClass[place] ??= numberOf(classes.name(row))
    return numberOfClass[place]
  })
  return { field, of, slices }
}

/** Classes of the rows by the value of a column. */
interface Classes {
  /** Number of the row's class; −1 where the value is missing. */
  of(row: number): number
  /** Name of the class of a row whose value is not missing. */
  name(row: number): Slicing['slices'][number]
}

function frequent(column: StringColumn, rows: Int32Array): Classes {
  const { values } = column
  const counts = new Uint32Array(values.length)
  // Among equally frequent values, those that come first are kept.
  const met: number[] = []
  for (const row of rows) {
    const code = column.codeAt(row)
    if (code >= 0 && counts[code]!++ === 0) met.push(code)
  }
  const kept = new Set(met.sort((a, b) => counts[b]! - counts[a]!).slice(0, mostValues))
  return {
    of: (row) => column.codeAt(row),
    name(row) {
      const code = column.codeAt(row)
      return kept.has(code) ? { value: values[code]!, kind: 'value' } : { value: 'others', kind: 'others' }
    },
  }
}

/** The number of a row, or how many values its list has. */
function amountOf(column: CellColumn): (row: number) => number | null {
  if (!(column instanceof ListColumn)) return (row) => column.at(row) as number | null
  return (row) => (column.lengthOf(row) < 0 ? null : column.lengthOf(row))
}

function rangesOf(measure: (row: number) => number | null, rows: Int32Array): Classes {
  const sorted = Float64Array.from(rows, (row) => measure(row) ?? Number.NaN)
    .filter((value) => !Number.isNaN(value))
    .sort()
  const edges = [...new Set(Array.from({ length: ranges - 1 }, (_, i) => quantile(sorted, (i + 1) / ranges)))]
  const text = (value: number) => String(Number(value.toPrecision(4)))
  const of = (row: number) => {
    const value = measure(row)
    if (value === null) return -1
    const bin = edges.findIndex((edge) => value <= edge)
    return bin < 0 ? edges.length : bin
  }
  return {
    of,
    name(row) {
      const bin = of(row)
      if (bin === 0) return { value: `≤ ${text(edges[0]!)}`, kind: 'range' }
      if (bin === edges.length) return { value: `> ${text(edges.at(-1)!)}`, kind: 'range' }
      return { value: `${text(edges[bin - 1]!)} … ${text(edges[bin]!)}`, kind: 'range' }
    },
  }
}

/**
 * Judges a task by slices, worst calibrated first: by how far from 1 the interval of the calibration ratio is, then the
 * ratio. `pause`: awaited before the slices by each field.
 */
export async function judgeSlices(
  task: TaskRows & { predictions: Float64Array },
  order: Uint32Array,
  slicings: readonly Slicing[],
  resampling: Resampling,
  pause: (field: string) => Promise<void> = async () => undefined,
): Promise<Slice[]> {
  const slices: Slice[] = []
  for (const slicing of slicings) {
    await pause(slicing.field)
    slices.push(...judgeSlicing(task, order, slicing, resampling))
  }
  return slices.sort(byCalibration)
}

function judgeSlicing(
  task: TaskRows & { predictions: Float64Array },
  order: Uint32Array,
  { field, of, slices }: Slicing,
  resampling: Resampling,
): Slice[] {
  const sliceOf = Uint16Array.from(task.positions, (position) => of[position]!)
  const rowsOf = new Uint32Array(slices.length)
  const positivesOf = new Uint32Array(slices.length)
  for (let row = 0; row < sliceOf.length; row++) {
    rowsOf[sliceOf[row]!]!++
    positivesOf[sliceOf[row]!]! += task.labels[row]!
  }
  // Values too rare to be judged, and those that were pooled already, make one slice.
  const pooled = new Set<number>()
  slices.forEach(({ kind }, i) => {
    const [rows, positives] = [rowsOf[i]!, positivesOf[i]!]
    const rare = rows < leastRows || Math.min(positives, rows - positives) < leastPositives
    if (kind === 'others' || (rare && kind !== 'unknown')) pooled.add(i)
  })
  const parts = slices.flatMap((slice, i) => (pooled.has(i) ? [] : [{ ...slice, values: 1, members: [i] }]))
  const known = slices.length === 2 && slices[0]!.value === 'known'
  const [only] = pooled
  if (pooled.size === 1 && only !== undefined && !known) parts.push({ ...slices[only]!, values: 1, members: [only] })
  else if (pooled.size > 1 && !known)
    parts.push({ value: 'others', kind: 'others', values: pooled.size, members: [...pooled] })
  if (parts.length === 1 && !known) return []
  const partOf = new Int32Array(slices.length).fill(-1)
  parts.forEach(({ members }, part) => {
    for (const member of members) partOf[member] = part
  })
  const insides = divide(order, parts.length, (row) => partOf[sliceOf[row]!]!)
  const pick = createPick(task)
  return parts.flatMap(({ value, kind, values, members }, part) => {
    const inside = insides[part]!
    if (inside.length === 0) return []
    const { metrics } = judge(pick(inside), count(inside.length), resampling)
    const positives = members.reduce((sum, member) => sum + positivesOf[member]!, 0)
    return [{ field, value, kind, values, rows: inside.length, positives, metrics }]
  })
}

function byCalibration(a: Slice, b: Slice): number {
  return surelyWrong(b) - surelyWrong(a) || wrong(b) - wrong(a)
}

/** The least |ln ratio| in the ratio's interval. */
function surelyWrong({ metrics }: Slice): number {
  const { low, high } = metrics.calibration_ratio
  if (low === null || high === null || (low <= 1 && high >= 1)) return 0
  return low > 1 ? Math.log(low) : -Math.log(Math.max(high, 1e-9))
}

function wrong({ metrics }: Slice): number {
  const { value } = metrics.calibration_ratio
  return value === null ? -1 : Math.abs(Math.log(Math.max(value, 1e-9)))
}
