import type { FeatureValue } from '../../schemas/feature-value.ts'
import type { CellColumn } from '../data/columns.ts'
import type { Dataset } from '../data/dataset.ts'
import { SpecError } from '../data/source.ts'
import type { JudgeContext } from './judge-context.ts'
import type { PredictedRows, Predictor } from './predictor.ts'
import { RowError } from './row-error.ts'

/** Rows, evenly spread, whose gates are read. */
const gateRows = 20_000

/** A version's answers to some rows of a data set; one element per row. */
export interface ScoredPart {
  /** Indexes of the rows in the data set. */
  rows: Int32Array
  /** Served probabilities, per task and derived task. */
  predictions: Record<string, Float64Array>
  /** Probabilities before calibration, per task. */
  raw: Record<string, Float64Array>
  /** Per field with such values: 1 where the model does not know the value. */
  unknown: Map<string, Uint8Array>
  /** Some of the rows, ascending; none without gates. */
  gates: GatedRow[]
  /** Number of the rows that were asked for, and are not among these: the service does not answer them. */
  leftOut?: number | undefined
}

/** The weights of the experts for a row. */
export interface GatedRow {
  /** In `ScoredPart.rows`. */
  position: number
  /** Per task, one weight per expert. */
  weights: Record<string, number[]>
}

/** Rows as a version is asked for them. */
export interface RowsToScore extends Pick<Dataset, 'cells' | 'place'> {
  /** Columns that a service is sent besides the fields, by name. */
  keys?: ReadonlyMap<string, CellColumn> | undefined
}

/**
 * Asks a version for the rows, and takes those out that a service leaves out. `dataset.cells` are those of the
 * version's fields, in order. Rejects with a SpecError for the first row that the version refuses, or for which it
 * computes no number.
 */
export async function scoreRows(
  predictor: Predictor,
  dataset: RowsToScore,
  rows: Int32Array,
  { loaded, signal, progress }: Pick<JudgeContext, 'loaded' | 'signal' | 'progress'>,
): Promise<ScoredPart> {
  const { name, version } = predictor.model
  const columns = [
    ...predictor.fields.map(({ name }, field) => [name, dataset.cells[field]!] as const),
    ...(dataset.keys ?? []),
  ]
  const numbers = () => new Float64Array(rows.length)
  const names = predictor.tasks.map(({ name }) => name)
  const plain = predictor.tasks.filter(({ product }) => product === undefined).map(({ name }) => name)
  const scored: ScoredPart = {
    rows,
    predictions: Object.fromEntries(names.map((name) => [name, numbers()])),
    raw: Object.fromEntries(plain.map((name) => [name, numbers()])),
    unknown: new Map(),
    gates: [],
  }
  const lists = new Set(predictor.fields.flatMap(({ name, list }) => (list ? [name] : [])))
  const step = Math.ceil(rows.length / gateRows)
  const left = new Set<number>()
  let next = 0
  let done = 0
  const work = async () => {
    while (next < rows.length) {
      signal.throwIfAborted()
      const start = next
      next += predictor.mostRows
      const part = rows.subarray(start, start + predictor.mostRows)
      const asked = Object.fromEntries(columns.map(([name, column]) => [name, cellsOf(column, part)]))
      const answer = await predictor.predict(asked).catch((error) => {
        // The other calls need not begin.
        next = rows.length
        if (!(error instanceof RowError)) throw error
        const message = `${dataset.place(part[error.row]!)}: ${error.message}`
        throw new SpecError(loaded.file, [{ path: '/data', message }])
      })
      for (const row of answer.leftOut ?? []) left.add(start + row)
      if (answer.leftOut?.length !== part.length) keepAnswers(scored, answer, start, part.length, lists)
      for (let i = (step - (start % step)) % step; answer.gates && i < part.length; i += step) {
        if (left.has(start + i)) continue
        const weights = Object.entries(answer.gates).map(([task, values]) => [task, Array.from(values[i]!)])
        scored.gates.push({ position: start + i, weights: Object.fromEntries(weights) })
      }
      done += part.length
      progress?.rows(`predicting by ${name}/${version}`, done, rows.length)
    }
  }
  await Promise.all(Array.from({ length: predictor.concurrency }, work))
  scored.gates.sort((a, b) => a.position - b.position)
  if (left.size < rows.length || rows.length === 0) return without(scored, left)
  const message = `none of ${rows.length} rows has an answer of ${name}/${version}: its tables lack their keys`
  throw new SpecError(loaded.file, [{ path: '/data', message }])
}

function cellsOf(column: CellColumn, rows: Int32Array): FeatureValue[] {
  const cells: FeatureValue[] = []
  for (let i = 0; i < rows.length; i++) cells.push(column.at(rows[i]!))
  return cells
}

/** `lists`: names of the version's lists. */
function keepAnswers(
  scored: ScoredPart,
  answer: PredictedRows,
  start: number,
  rows: number,
  lists: ReadonlySet<string>,
): void {
  for (const [task, column] of Object.entries(scored.predictions)) column.set(answer.tasks[task]!, start)
  for (const [task, column] of Object.entries(scored.raw)) column.set(answer.raw[task] ?? answer.tasks[task]!, start)
  for (let i = 0; i < rows; i++)
    for (const said of answer.unknown[i] ?? []) {
      const field = fieldOf(said, lists)
      let marks = scored.unknown.get(field)
      if (marks === undefined) {
        marks = new Uint8Array(scored.rows.length)
        scored.unknown.set(field, marks)
      }
      marks[start + i] = 1
    }
}

/** The field of an unknown value: of `tags[2]`, where there is a list of that name, tags. */
function fieldOf(said: string, lists: ReadonlySet<string>): string {
  const list = lists.size > 0 && said.endsWith(']') ? said.slice(0, said.lastIndexOf('[')) : said
  return lists.has(list) ? list : said
}

/** The answers to the rows that all versions have answered, of parts of the same rows. */
export function answeredByAll(parts: readonly ScoredPart[]): ScoredPart[] {
  if (parts.every(({ leftOut }) => leftOut === undefined)) return [...parts]
  const counts = new Map<number, number>()
  for (const { rows } of parts) for (const row of rows) counts.set(row, (counts.get(row) ?? 0) + 1)
  return parts.map((part) => {
    const left = new Set<number>()
    part.rows.forEach((row, position) => {
      if (counts.get(row)! < parts.length) left.add(position)
    })
    return without(part, left)
  })
}

/** All but the rows at some positions. */
function without(part: ScoredPart, left: ReadonlySet<number>): ScoredPart {
  if (left.size === 0) return part
  const positions = Int32Array.from(part.rows.keys()).filter((position) => !left.has(position))
  return { ...selectRows(part, positions), leftOut: (part.leftOut ?? 0) + left.size }
}

/** The answers to some of the rows. `positions`: ascending. */
export function selectRows({ rows, predictions, raw, unknown, gates }: ScoredPart, positions: Int32Array): ScoredPart {
  const pick = (columns: Record<string, Float64Array>) =>
    Object.fromEntries(
      Object.entries(columns).map(([name, values]) => [name, Float64Array.from(positions, (i) => values[i]!)]),
    )
  const placeOf = new Map(Array.from(positions, (position, i) => [position, i]))
  return {
    rows: Int32Array.from(positions, (i) => rows[i]!),
    predictions: pick(predictions),
    raw: pick(raw),
    unknown: new Map([...unknown].map(([field, marks]) => [field, Uint8Array.from(positions, (i) => marks[i]!)])),
    gates: gates.flatMap(({ position, weights }) => {
      const place = placeOf.get(position)
      return place === undefined ? [] : [{ position: place, weights }]
    }),
  }
}
