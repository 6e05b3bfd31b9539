import { ModelError } from '../model/base/errors.ts'
import { drawRow } from '../model/features/draw-value.ts'
import { createEncoder } from '../model/features/encoder.ts'
import type { Field } from '../schemas/features.ts'
import { isObject } from '../schemas/json.ts'
import type { GoldenRows } from '../schemas/manifest.ts'
import type { IdRange, ImportedModel } from './keras/imported-model.ts'
import { nameValue } from './named-values.ts'

type Row = GoldenRows['rows'][number]

/** As many as `multigate train` keeps. */
const drawnRows = 32
/** A manifest's bound. */
const mostRows = 1000
/** A manifest's default; Keras' own reloads differ by less than 1e-6. */
const tolerance = 1e-5

/** What the columns of a file of golden rows mean. */
export interface GoldenColumns {
  features: Field[]
  /** Per sparse field the id, as the model takes it, of the field's id 0. */
  firsts: number[]
  tasks: string[]
}

/** What golden rows are made of. */
export interface GoldenSource {
  model: ImportedModel
  features: Field[]
  ranges: IdRange[]
  ownIds: boolean
  tasks: string[]
}

/** Rows drawn at random, and what the model says to them in float64. `random` is uniform over [0, 1). */
export function drawGolden({ features, ...source }: GoldenSource, random: () => number): GoldenRows {
  const rows = Array.from({ length: drawnRows }, () => drawRow(features, random))
  const probabilities = evaluate(rows, { features, ...source })
  probabilities.forEach((row) => {
    row.forEach((value, t) => {
      if (!(value >= 0 && value <= 1))
        throw new ModelError(
          'UNSUPPORTED_GRAPH',
          `the model answers ${value} for ${source.tasks[t]}, which is no probability: it should end in a sigmoid or a softmax`,
        )
    })
  })
  return { rows, probabilities, tolerance }
}

/**
 * Rows with answers that the training framework itself gave, in one of two forms: `{rows: [{field: value}], probabilities: [[…]]}`,
 * or tensors as the model takes them, `{sparse: {data: [[…]]}, dense: {data: [[…]]}, probabilities: {data: [[…]]}}`.
 *
 * Throws INVALID_REQUEST, naming `file` and the place, where they are malformed or don't fit the fields.
 */
export function readGolden(written: unknown, file: string, columns: GoldenColumns): GoldenRows {
  const wrong = (message: string) => new ModelError('INVALID_REQUEST', `${file}: ${message}`)
  if (!isObject(written)) throw wrong('is no JSON object')
  const answers = matrix(written, 'probabilities', columns.tasks.length, wrong)
  const count = Math.min(answers.length, mostRows)
  const rows = Array.isArray(written.rows)
    ? namedRows(written.rows, wrong)
    : tensorRows(written, answers.length, columns, wrong)
  if (rows.length !== answers.length) throw wrong(`has ${rows.length} rows and ${answers.length} answers`)
  const allowed = typeof written.tolerance === 'number' ? written.tolerance : tolerance
  return { rows: rows.slice(0, count), probabilities: answers.slice(0, count), tolerance: allowed }
}

/** The first answer that isn't the golden row's, in words; undefined where all are. `who` answered. */
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

/** `readGolden`, held against the file's weights in float64. Throws INVALID_REQUEST where they answer something else. */
export function checkGolden(written: unknown, file: string, source: GoldenSource): GoldenRows {
  const { features, ranges, tasks, model } = source
  const golden = readGolden(written, file, { features, firsts: ranges.map(({ first }) => first), tasks })
  const difference = differenceOf(golden, evaluate(golden.rows, source), tasks, "the file's weights answer")
  if (difference === undefined) return golden
  const assumed = model.assumed.map(({ text }) => text).join('; ')
  throw new ModelError(
    'INVALID_REQUEST',
    `${file}: ${difference}${assumed && `. The file of weights doesn't say what was assumed: ${assumed}; --architecture states options`}`,
  )
}

/** What the foreign model says to named rows. */
function evaluate(rows: Row[], { model, features, ranges, ownIds }: GoldenSource): number[][] {
  const encoder = createEncoder(features, undefined, ownIds)
  const { sparse, dense } = encoder.rows(undefined, rows, { maxRows: mostRows, partial: false })
  const offsets = encoder.layout.sparse.map(({ offset }) => offset)
  return rows.map((_, row) => {
    const ids = offsets.map((offset, c) => sparse[row * offsets.length + c]! - offset + ranges[c]!.first)
    const width = encoder.layout.dense.length
    return [...model.evaluate(ids, Float64Array.from(dense.subarray(row * width, (row + 1) * width)))]
  })
}

function namedRows(written: unknown, wrong: (message: string) => ModelError): Row[] {
  if (!Array.isArray(written) || !written.every(isObject)) throw wrong('/rows must be a list of objects')
  return written as Row[]
}

function tensorRows(
  written: Record<string, unknown>,
  count: number,
  { features, firsts }: GoldenColumns,
  wrong: (message: string) => ModelError,
): Row[] {
  const sparse = matrix(written, 'sparse', firsts.length, wrong, count)
  const dense = matrix(written, 'dense', features.length - firsts.length, wrong, count)
  return Array.from({ length: count }, (_, row) => {
    let [s, d] = [0, 0]
    const entries = features.map((field) => {
      const column = field.kind === 'numeric' ? d++ : s++
      const value = field.kind === 'numeric' ? dense[row]![column]! : sparse[row]![column]! - firsts[column]!
      const place = `/${field.kind === 'numeric' ? 'dense' : 'sparse'}/${row}/${column}`
      return [field.name, nameValue(field, value, (message) => wrong(`${place} is ${message}`))]
    })
    return Object.fromEntries(entries)
  })
}

/** `{data: rows}` or rows; without columns it may be left out. */
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
