import { listProblems, ModelError, type Violation } from '../../base/errors.ts'
import { nameOfId, unscale } from '../../model/serving/features/decode.ts'
import { drawRow } from '../../model/serving/features/draw.ts'
import { createEncoder } from '../../model/serving/features/encoder.ts'
import { createNumericFieldEncoder, createSparseFieldEncoder } from '../../model/serving/features/field.ts'
import { createLayout } from '../../model/serving/features/layout.ts'
import { type InputField, idsOf } from '../../model/serving/features/table.ts'
import { didYouMean } from '../../schemas/closest-name.ts'
import type { Field, HashField } from '../../schemas/features.ts'
import { isObject, pointer } from '../../schemas/json.ts'
import type { GoldenRows } from '../../schemas/manifest.ts'
import type { IdRange, ImportedModel } from './keras/imported-model.ts'

type Row = GoldenRows['rows'][number]

/** Golden rows drawn where no file gives them. */
const drawnRows = 32
/** Largest number of golden rows in a manifest. */
const mostRows = 1000
/** The manifest's default. Keras itself differs by less than 1e-6 after reloading a model. */
const tolerance = 1e-5

/** The meaning of the columns in a file of golden rows. */
export interface GoldenColumns {
  features: Field[]
  /** Per sparse field, the model's id for the field's id 0. */
  firsts: number[]
  tasks: string[]
}

/** A model that computes golden rows, and its fields. */
export interface GoldenSource {
  model: ImportedModel
  features: Field[]
  ranges: IdRange[]
  ownIds: boolean
  tasks: string[]
}

/** Random rows with the model's answers, computed in float64. `random` is uniform over [0, 1). */
export function drawGolden({ features, ...source }: GoldenSource, random: () => number): GoldenRows {
  const rows = Array.from({ length: drawnRows }, () => drawRow(features, random))
  const probabilities = evaluate(rows, { features, ...source })
  probabilities.forEach((row) => {
    row.forEach((value, t) => {
      if (!(value >= 0 && value <= 1))
        throw new ModelError(
          'UNSUPPORTED_GRAPH',
          `the model answers ${value} for ${source.tasks[t]}, which is not a probability: ${Number.isNaN(value) ? 'do its weights hold NaN?' : 'it should end in a sigmoid or a softmax'}`,
        )
    })
  })
  return { rows, probabilities, tolerance }
}

/**
 * Rows with answers from the training framework, in one of two forms: `{rows: [{field: value}], probabilities: [[…]]}`,
 * or tensors as the model takes them, `{sparse: {data: [[…]]}, dense: {data: [[…]]}, probabilities: {data: [[…]]}}`.
 *
 * Throws INVALID_REQUEST, naming `file` and the place, if they are malformed or do not fit the fields.
 */
export function readGolden(written: unknown, file: string, columns: GoldenColumns): GoldenRows {
  const wrong = (message: string) => new ModelError('INVALID_REQUEST', `${file}: ${message}`)
  if (!isObject(written)) throw wrong('is not a JSON object')
  const answers = matrix(written, 'probabilities', columns.tasks.length, wrong)
  const odd = answers.findIndex((row) => row.some((value) => value < 0 || value > 1))
  if (odd >= 0)
    throw wrong(`/probabilities/${odd} must be from 0 to 1: give probabilities, the sigmoid of a model's logits`)
  const count = Math.min(answers.length, mostRows)
  const rows = Array.isArray(written.rows)
    ? namedRows(written.rows, columns.features, wrong)
    : tensorRows(written, answers.length, columns, wrong)
  if (rows.length !== answers.length) throw wrong(`has ${rows.length} rows and ${answers.length} answers`)
  const allowed = typeof written.tolerance === 'number' ? written.tolerance : tolerance
  return { rows: rows.slice(0, count), probabilities: answers.slice(0, count), tolerance: allowed }
}

/** Runs `encode`; its errors about candidates become errors about the rows of `file`. */
export async function placeErrors<T>(file: string, encode: () => T | Promise<T>): Promise<T> {
  try {
    return await encode()
  } catch (error) {
    if (!(error instanceof ModelError) || error.problems === undefined) throw error
    const places = error.problems.map(({ path, message }) => ({
      path: path.replace(/^\/candidates/, '/rows'),
      message,
    }))
    throw new ModelError('INVALID_REQUEST', `${file}: ${listProblems(places).join('; ')}`, { cause: error })
  }
}

/**
 * Describes the first answer that differs from its golden row; undefined if none does. `who` is the subject of the
 * answer.
 */
export function differenceOf(
  golden: GoldenRows,
  answers: number[][],
  tasks: string[],
  who: string,
): string | undefined {
  for (const [row, expected] of golden.probabilities.entries())
    for (const [task, name] of tasks.entries()) {
      const answer = answers[row]?.[task] ?? Number.NaN
      if (!(Math.abs(answer - expected[task]!) <= golden.tolerance))
        return `/probabilities/${row}/${task} is ${expected[task]}, but ${who} ${answer} for ${name}`
    }
  return undefined
}

/** Like `readGolden`; also throws INVALID_REQUEST if the file's weights, evaluated in float64, give other answers. */
export async function checkGolden(written: unknown, file: string, source: GoldenSource): Promise<GoldenRows> {
  const { features, ranges, tasks, model } = source
  const golden = readGolden(written, file, { features, firsts: ranges.map(({ first }) => first), tasks })
  const answers = await placeErrors(file, () => evaluate(golden.rows, source))
  const difference = differenceOf(golden, answers, tasks, "the file's weights answer")
  if (difference === undefined) return golden
  const assumed = model.assumed.map(({ text }) => text).join('; ')
  throw new ModelError(
    'INVALID_REQUEST',
    `${file}: ${difference}${assumed && `. The file of weights does not state what was assumed: ${assumed}; --architecture states options`}`,
  )
}

/** The foreign model's answers to named rows. */
function evaluate(rows: Row[], { model, features, ranges, ownIds }: GoldenSource): number[][] {
  const encoder = createEncoder(features, { ownIds })
  const { sparse, dense } = encoder.rows(undefined, rows, { maxRows: mostRows, partial: false })
  const offsets = encoder.layout.sparse.map(({ offset }) => offset)
  return rows.map((_, row) => {
    const ids = offsets.map((offset, c) => sparse[row * offsets.length + c]! - offset + ranges[c]!.first)
    const width = encoder.layout.dense.length
    return [...model.evaluate(ids, Float64Array.from(dense.subarray(row * width, (row + 1) * width)))]
  })
}

function namedRows(written: unknown, features: Field[], wrong: (message: string) => ModelError): Row[] {
  if (!Array.isArray(written) || !written.every(isObject)) throw wrong('/rows must be a list of objects')
  const names = new Set(features.map(({ name }) => name))
  const unknown = written.flatMap((row, i): Violation[] =>
    // Rows may be saved requests: `id` and `bid` are no fields, but have no influence.
    Object.keys(row).flatMap((name) =>
      names.has(name) || name === 'id' || name === 'bid' ? [] : [notField(name, i, names)],
    ),
  )
  if (unknown.length === 0) return written as Row[]
  throw wrong(`${listProblems(unknown).join('; ')}; the fields are ${[...names].join(', ')}`)
}

function notField(name: string, row: number, names: ReadonlySet<string>): Violation {
  return { path: `/rows/${row}${pointer(name)}`, message: `is no field${didYouMean(name, names)}` }
}

function tensorRows(
  written: Record<string, unknown>,
  count: number,
  { features, firsts }: GoldenColumns,
  wrong: (message: string) => ModelError,
): Row[] {
  const layout = createLayout(features)
  const { slots } = layout
  const sparse = matrix(written, 'sparse', firsts.length, wrong, count)
  const dense = matrix(written, 'dense', layout.dense.length, wrong, count)
  return Array.from({ length: count }, (_, row) => {
    const entries = slots.map((slot) => {
      const { name, sparse: isSparse, column, width, group, padding, encoder } = slot
      const { field } = encoder
      const valueAt = (i: number) => (isSparse ? sparse[row]![i]! - firsts[i]! : dense[row]![i]!)
      const nameAt = (i: number) => {
        const place = `/${isSparse ? 'sparse' : 'dense'}/${row}/${i}`
        if (field.kind === 'vector') return valueAt(i)
        return nameValue(field, valueAt(i), (message) => wrong(`${place} is ${message}`))
      }
      if (group === undefined) return [name, nameAt(column)]
      const columns = Array.from({ length: width }, (_, i) => column + i)
      // A list ends where nothing but padding follows.
      const empty = isSparse ? padding - (layout.sparse[column]!.offset ?? 0) : 0
      const last = field.kind === 'vector' ? width - 1 : columns.findLastIndex((i) => valueAt(i) !== empty)
      return [name, columns.slice(0, last + 1).map(nameAt)]
    })
    return Object.fromEntries(entries)
  })
}

/** `{data: rows}` or rows; optional without columns. */
function matrix(
  written: Record<string, unknown>,
  name: string,
  width: number,
  wrong: (message: string) => ModelError,
  rows?: number,
): number[][] {
  const given = written[name]
  const data = isObject(given) ? given.data : given
  if (data === undefined && width === 0 && rows !== undefined) return Array.from({ length: rows }, () => [])
  if (!Array.isArray(data) || data.length === 0) throw wrong(`/${name} must be a list of rows`)
  if (rows !== undefined && data.length !== rows) throw wrong(`/${name} has ${data.length} rows, not ${rows}`)
  data.forEach((row, i) => {
    if (!Array.isArray(row) || row.length !== width || !row.every((value) => Number.isFinite(value)))
      throw wrong(`/${name}/${i} must be ${width} numbers`)
  })
  return data
}

/** Hashes are inverted by trial, which finds a value for practically every id up to this number of buckets. */
const mostBuckets = 100_000

/**
 * Decodes a model's input, an id of the field (from 0) or a scaled number, into the value that a request gives. `wrong`
 * creates the error from a message that continues after "is".
 */
export function nameValue(
  field: Exclude<InputField, { kind: 'vector' }>,
  encoded: number,
  wrong: (message: string) => ModelError,
): string | number {
  if (field.kind === 'numeric') {
    const value = unscale(field, encoded)
    const again = createNumericFieldEncoder(field).encode(value)
    // Scaling and back rounds.
    if (typeof again === 'string' || Math.abs(again - encoded) > 1e-5 * Math.max(1, Math.abs(encoded)))
      throw wrong(`${encoded}, which is not the scaled form of any value of ${field.name}`)
    return value
  }
  if (!Number.isInteger(encoded) || encoded < 0 || encoded >= idsOf(field))
    throw wrong(`${encoded}, but the ids of ${field.name} are 0 … ${idsOf(field) - 1}`)
  if (field.kind === 'hash') return unhash(field, encoded, wrong)
  return nameOfId(field, encoded)
}

function unhash(field: HashField, id: number, wrong: (message: string) => ModelError): string {
  const { encode } = createSparseFieldEncoder(field, 0)
  for (let n = 0; field.buckets <= mostBuckets && n < 20 * field.buckets; n++)
    if (encode(`value ${n}`) === id) return `value ${n}`
  throw wrong(`${id}, and no value with that hash is known for ${field.name}: give named rows`)
}
