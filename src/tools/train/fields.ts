import type { Violation } from '../../base/errors.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import {
  createNumericFieldEncoder,
  createSparseFieldEncoder,
  requiredMessage,
} from '../../model/serving/features/field.ts'
import type { Layout } from '../../model/serving/features/layout.ts'
import { type CrossedField, defaultHash, type Field, type Scaling } from '../../schemas/features.ts'
import type { TrainField } from '../../schemas/train-spec.ts'
import type { CellColumn } from '../data/columns.ts'
import type { Dataset } from '../data/dataset.ts'
import type { FieldReading } from '../data/readers.ts'
import { type Cell, type LoadedSpec, SpecError } from '../data/source.ts'

/**
 * Fits the manifest's fields: vocabularies and scaling come from the rows `train` only, so that the other rows do not
 * leak into them. A missing cell counts as its field's default. `cells` is [field][row].
 */
export function fitFields(
  fields: readonly TrainField[],
  cells: readonly CellColumn[],
  train: Int32Array,
): { fields: Field[]; problems: Violation[] } {
  const problems: Violation[] = []
  const fitted = fields.map((field, index) => {
    const column = cells[index]!
    const present = function* () {
      for (const row of train) {
        const cell = column.at(row) ?? (field.missing === 'error' ? null : field.missing.default)
        if (cell !== null) yield cell
      }
    }
    const fit = fitField(field, present() as Iterable<Cell>)
    if (fit.kind === 'vocabulary' && fit.values.length === 0) {
      problems.push({ path: `/fields/${index}`, message: 'no value is frequent enough in the training rows' })
    }
    return fit
  })
  return { fields: fitted, problems }
}

/**
 * Creates a check of cells that needs no vocabulary or scaling: returns the problem of a cell that a request could not
 * contain either. A value missing from the vocabulary is found by `encodeRows`.
 */
function createCellCheck(field: TrainField): (cell: Cell) => string | undefined {
  const encoder =
    field.kind === 'integer'
      ? createSparseFieldEncoder(field, 0)
      : field.kind === 'numeric' && field.scaling === 'log1p'
        ? createNumericFieldEncoder({ ...field, scaling: { method: 'log1p', scale: 1 } })
        : undefined
  return (cell) => {
    if (cell === null) return field.missing === 'error' ? requiredMessage : undefined
    const encoded = encoder?.encode(cell)
    return typeof encoded === 'string' ? encoded : undefined
  }
}

/**
 * Per column of ids the id of values outside the field's vocabulary or range; −1 where a field refuses them, hashes,
 * or is crossed.
 */
export function unknownIdsOf({ sparse }: Pick<Layout, 'sparse'>): Int32Array {
  return Int32Array.from(sparse, ({ field, offset }) =>
    'out_of_vocabulary' in field && field.out_of_vocabulary === 'bucket' ? offset : -1,
  )
}

/** How the fields of a training spec are read. */
export function readingsOf(fields: readonly TrainField[]): FieldReading[] {
  return fields.map((field, index) => ({
    name: field.name,
    path: `/fields/${index}`,
    kind: field.kind === 'vocabulary' || field.kind === 'hash' ? 'string' : 'number',
    column: field.column,
    expression: field.expression,
    problemOf: createCellCheck(field),
  }))
}

function fitField(field: TrainField, present: Iterable<Cell>): Field {
  const fitted = fitKind(field, present)
  return field.log === undefined ? fitted : { ...fitted, log: field.log }
}

function fitKind(field: TrainField, present: Iterable<Cell>): Field {
  const { name, side } = field
  if (field.kind === 'vocabulary') {
    const { kind, out_of_vocabulary, missing } = field
    return { name, side, kind, values: vocabulary(present, field.min_count), out_of_vocabulary, missing }
  }
  if (field.kind === 'hash') {
    const { kind, hash, buckets, seed, missing } = field
    return {
      ...{ name, side, kind },
      // Older releases refuse the property.
      ...(hash !== undefined && hash !== defaultHash && { hash }),
      buckets,
      ...(seed !== undefined && { seed }),
      missing,
    }
  }
  if (field.kind === 'integer') {
    const { kind, size, out_of_vocabulary, missing } = field
    return { name, side, kind, size, out_of_vocabulary, missing }
  }
  return {
    name,
    side,
    kind: field.kind,
    scaling: fitScaling(field, present as Iterable<number>),
    missing: field.missing,
  }
}

/** Values with at least `minCount` occurrences, in the order of their UTF-16 units, independent of the locale. */
function vocabulary(cells: Iterable<Cell>, minCount: number): string[] {
  const counts = new Map<string, number>()
  for (const cell of cells) counts.set(String(cell), (counts.get(String(cell)) ?? 0) + 1)
  return [...counts]
    .filter(([, count]) => count >= minCount)
    .map(([value]) => value)
    .sort()
}

/** A constant column keeps its own scale. */
function fitScaling(
  { scaling: method, clip }: Extract<TrainField, { kind: 'numeric' }>,
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

/**
 * The fields of the version to be: fitted to the training rows, or those of the version that training goes on from,
 * whose tables have a row for each value. The data set's cells become those of the fields, in their order.
 *
 * Throws a SpecError where a field can't be fitted, or the spec lacks one of that version's or has one of another kind.
 */
export function fieldsOf({ spec, file }: LoadedSpec, dataset: Dataset, from: Bundle | undefined): Field[] {
  const { cells, parts } = dataset
  if (from === undefined) {
    const { fields, problems } = fitFields(spec.fields, cells, parts.train)
    if (problems.length > 0) throw new SpecError(file, problems)
    return fields
  }
  const { features, name, version } = from.manifest
  const title = `${name}/${version}`
  const problems: { path: string; message: string }[] = []
  const columns = features.map((field) => {
    const index = spec.fields.findIndex((candidate) => candidate.name === field.name)
    const written = spec.fields[index]
    if (written === undefined)
      problems.push({ path: '/fields', message: `lacks ${field.name}, a field of ${title}, which --from continues` })
    else if (written.kind !== field.kind)
      problems.push({ path: `/fields/${index}/kind`, message: `must be ${field.kind}, as in ${title}` })
    else
      for (const [key, before] of changedOptions(field, written))
        problems.push({ path: `/fields/${index}/${key}`, message: `must be ${before}, as in ${title}` })
    return cells[index]!
  })
  spec.fields.forEach((field, index) => {
    if (!features.some(({ name }) => name === field.name))
      problems.push({
        path: `/fields/${index}`,
        message: `${field.name} is no field of ${title}, which --from continues`,
      })
  })
  const crossed = from.manifest.crossed ?? []
  if (JSON.stringify(spec.crossed) !== JSON.stringify(crossed))
    problems.push({
      path: '/fields',
      message: `must have the crossed fields of ${title}, which --from continues: ${describeCrossed(crossed)}`,
    })
  if (problems.length > 0) throw new SpecError(file, problems)
  dataset.cells = columns
  return features
}

/** Options that give a field's values other ids, with their values before; seeds of two hashes are not compared. */
function changedOptions(before: Field, now: TrainField): [option: string, before: unknown][] {
  const [was, is] = [optionsOf(before), optionsOf(now)]
  const changed = Object.keys(was).filter((key) => was[key] !== is[key])
  return changed.filter((key) => key !== 'seed' || was.hash === is.hash).map((key) => [key, was[key]])
}

function optionsOf(field: Field | TrainField): Record<string, unknown> {
  const { side, size, buckets, seed } = field as Partial<Record<'side' | 'size' | 'buckets' | 'seed', unknown>>
  return { side, size, hash: field.kind === 'hash' ? (field.hash ?? defaultHash) : undefined, buckets, seed }
}

function describeCrossed(crossed: readonly CrossedField[]): string {
  const all = crossed.map(
    ({ name, of, buckets, seed }) => `${name} of ${of.join(' × ')} (${buckets} buckets, seed ${seed})`,
  )
  return all.join(', ') || 'none'
}
