import type { Violation } from '../../base/errors.ts'
import { defaultHash, type Field, type Scaling } from '../../schemas/features.ts'
import { type History, historyField } from '../../schemas/history.ts'
import type { ListOptions } from '../../schemas/list-options.ts'
import type { TrainField } from '../../schemas/train-fields.ts'
import { type CellColumn, StringColumn } from '../data/columns.ts'
import { ListColumn } from '../data/list-column.ts'

type Value = string | number

/** The columns of a field's table, and the training rows. */
interface FieldRows {
  field: TrainField
  column: CellColumn
  rows: Int32Array
}

/**
 * Fits the manifest's fields: vocabularies and scaling come from the rows `train` only, so that the other rows do not
 * leak into them. A missing cell counts as its field's default. A vocabulary has the values of all fields that share
 * it, but for the lists of a history, which repeat them. `cells` is [field][row].
 */
export function fitFields(
  fields: readonly TrainField[],
  cells: readonly CellColumn[],
  train: Int32Array,
  history?: History,
): { fields: Field[]; problems: Violation[] } {
  const problems: Violation[] = []
  const of = fields.map((field, index): FieldRows => ({ field, column: cells[index]!, rows: train }))
  const made = new Set(history?.of.map((name) => historyField(history, name)))
  const outcomes = new Set(history?.outcomes?.map(({ name }) => historyField(history, name)))
  const fitted = fields.map((field, index) => {
    const sharing = of.filter(
      (other) => other.field.kind === 'shared' && other.field.table === field.name && !made.has(other.field.name),
    )
    const fit = fitField(field, [of[index]!, ...sharing])
    if (fit.kind === 'vocabulary' && fit.values.length === 0) {
      problems.push({ path: `/fields/${index}`, message: 'no value is frequent enough in the training rows' })
    }
    if (fit.kind === 'numeric' && !Object.values(fit.scaling).flat().every(isUsable)) {
      const path = made.has(field.name) || outcomes.has(field.name) ? '/history' : `/fields/${index}`
      problems.push({ path, message: `${field.name} has numbers too large to be scaled in the training rows` })
    }
    return fit
  })
  return { fields: fitted, problems }
}

const isUsable = (part: string | number) => typeof part === 'string' || Number.isFinite(part)

/** The field, and those that share its table. */
function fitField(field: TrainField, sharing: readonly FieldRows[]): Field {
  const fitted = fitKind(field, sharing)
  return field.log === undefined ? fitted : { ...fitted, log: field.log }
}

function fitKind(field: TrainField, sharing: readonly FieldRows[]): Field {
  const common = { name: field.name, side: field.side }
  if (field.kind === 'vector') {
    const { kind, length, missing } = field
    return { ...common, kind, length, missing }
  }
  const several = severalOf(field)
  if (field.kind === 'vocabulary') {
    const { kind, out_of_vocabulary, missing } = field
    return { ...common, kind, values: vocabulary(sharing, field.min_count), out_of_vocabulary, missing, ...several }
  }
  if (field.kind === 'hash') {
    const { kind, hash, buckets, seed, padded, missing } = field
    return {
      ...{ ...common, kind },
      // Older releases refuse the property.
      ...(hash !== undefined && hash !== defaultHash && { hash }),
      buckets,
      ...(seed !== undefined && { seed }),
      ...(padded && { padded }),
      missing,
      ...several,
    }
  }
  if (field.kind === 'integer') {
    const { kind, size, out_of_vocabulary, missing } = field
    return { ...common, kind, size, out_of_vocabulary, missing, ...several }
  }
  if (field.kind === 'shared') {
    const { kind, table, out_of_vocabulary, missing } = field
    return { ...common, kind, table, ...(out_of_vocabulary && { out_of_vocabulary }), missing, ...several }
  }
  const numbers = presentIn(sharing[0]!) as Iterable<number>
  return { ...common, kind: field.kind, scaling: fitScaling(field, numbers), missing: field.missing, ...several }
}

type Several = Exclude<TrainField, { kind: 'vector' }>

/** The options of a field of several values in a manifest. */
export function severalOf({ list, sequence }: Pick<Several, 'list' | 'sequence'>): {
  list?: ListOptions
  sequence?: string
} {
  if (list === undefined) return {}
  const { separator: _, ...own } = list
  return { list: own, ...(sequence !== undefined && { sequence }) }
}

/** Values of the rows; of a missing cell, the default's. */
function* presentIn({ field, column, rows }: FieldRows): Iterable<Value> {
  const missing = field.missing === 'error' ? [] : [field.missing.default].flat()
  for (const row of rows) {
    if (!(column instanceof ListColumn)) {
      const cell = column.at(row) as Value | null
      if (cell === null) yield* missing
      else yield cell
      continue
    }
    const length = column.lengthOf(row)
    const start = column.startOf(row)
    if (length < 0) yield* missing
    for (let i = 0; i < length; i++) yield column.values.at(start + i)!
  }
}

/** Values with at least `minCount` occurrences, in the order of their UTF-16 units, independent of the locale. */
function vocabulary(sharing: readonly FieldRows[], minCount: number): string[] {
  const counts = new Map<string, number>()
  const count = (value: string, times: number) => counts.set(value, (counts.get(value) ?? 0) + times)
  for (const of of sharing) {
    const strings = of.column instanceof ListColumn ? of.column.values : of.column
    if (of.column instanceof ListColumn && strings instanceof StringColumn) countCodes(of, of.column, strings, count)
    else for (const value of presentIn(of)) count(String(value), 1)
  }
  return [...counts]
    .filter(([, count]) => count >= minCount)
    .map(([value]) => value)
    .sort()
}

/** Counts the values of long lists by their numbers. */
function countCodes(
  { field, rows }: FieldRows,
  lists: ListColumn,
  strings: StringColumn,
  count: (value: string, times: number) => void,
): void {
  const codes = new Float64Array(strings.values.length)
  const missing = field.missing === 'error' ? [] : [field.missing.default].flat()
  for (const row of rows) {
    const length = lists.lengthOf(row)
    const start = lists.startOf(row)
    if (length < 0) for (const value of missing) count(String(value), 1)
    for (let i = 0; i < length; i++) codes[strings.codeAt(start + i)]!++
  }
  codes.forEach((times, code) => {
    if (times > 0) count(strings.values[code]!, times)
  })
}

/** A constant column keeps its own scale. */
function fitScaling(
  { scaling: method, clip }: Pick<Extract<TrainField, { kind: 'numeric' }>, 'scaling' | 'clip'>,
  numbers: Iterable<number>,
): Scaling {
  if (method === 'none') return { method }
  const { min, max, mean, deviation } = statistics(method === 'log1p' ? mapped(numbers, Math.log1p) : numbers)
  if (method === 'standard')
    return { method, mean, deviation: deviation > 0 ? deviation : 1, ...(clip !== false && { range: [min, max] }) }
  if (method === 'min_max') return max > min ? { method, min, max } : { method, min, max: min + 1 }
  return { method, scale: deviation > 0 ? deviation : 1 }
}

/** Welford's algorithm: one pass, no cancellation. Without numbers: min 0, max 0, mean 0, deviation 0. */
function statistics(numbers: Iterable<number>): { min: number; max: number; mean: number; deviation: number } {
  let count = 0
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  let mean = 0
  let squares = 0
  for (const x of numbers) {
    // log1p of a value that the field rejects.
    if (!Number.isFinite(x)) continue
    count += 1
    const delta = x - mean
    mean += delta / count
    squares += delta * (x - mean)
    if (x < min) min = x
    if (x > max) max = x
  }
  return count === 0
    ? { min: 0, max: 0, mean: 0, deviation: 0 }
    : { min, max, mean, deviation: Math.sqrt(squares / count) }
}

function* mapped(numbers: Iterable<number>, f: (x: number) => number): Iterable<number> {
  for (const x of numbers) yield f(x)
}
