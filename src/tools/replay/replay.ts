import { reasonOf } from '../../base/errors.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import type { OpenDataset } from '../data/dataset.ts'
import { featureOf, type ListValue } from '../data/list-column.ts'
import type { FieldReading } from '../data/readers.ts'
import { type RowCell, SpecError } from '../data/source.ts'
import { readingKey, readingsOfModel } from '../evaluate/model-fields.ts'
import type { PredictedRows, Predictor } from '../evaluate/predictor.ts'
import { RowError } from '../evaluate/row-error.ts'

/** Answers of two versions to the candidates of one request; of the first, perhaps those that were recorded. */
export interface ReplayedRequest {
  id: string
  /** The version that answered. */
  version: string | undefined
  /** Number of its candidates. */
  rows: number
  ids: (string | null)[]
  /** Per task, of each candidate. */
  before: Record<string, Float64Array>
  after: Record<string, Float64Array>
  /** Per field, of each candidate. */
  values: Record<string, FeatureValue[]>
  /** Fields with a value that the newer version does not know, by candidate. */
  unknown: (readonly string[] | undefined | null)[]
}

export interface ReplayOptions {
  rows: OpenDataset
  /** Names the log, for messages. */
  file: string
  against: Predictor
  /** Undefined: the recorded answers. */
  baseline: Predictor | undefined
  /** How all fields are read, those of the newer version first. */
  readings: readonly FieldReading[]
  /** Tasks that both have. */
  tasks: readonly string[]
  signal: AbortSignal
  onRequest(request: ReplayedRequest): void
}

interface Waiting {
  id: string
  version: string | undefined
  ids: (string | null)[]
  recorded: Record<string, number[]>
  columns: Map<string, FeatureValue[]>
}

/** Asks the versions for the requests of a log, in its order, some at a time. Rejects with a SpecError. */
export async function replay(options: ReplayOptions): Promise<void> {
  const { rows, file, against, baseline, readings, tasks, signal } = options
  const { source, joined, readers } = rows
  const predictors = baseline ? [against, baseline] : [against]
  const keys = readings.map(readingKey)
  const indexOf = (name: string) => source.columns.findIndex((column) => column.name === name)
  const [request, position, id, version] = ['log_request', 'log_position', 'log_id', 'log_version'].map(indexOf) as [
    number,
    number,
    number,
    number,
  ]
  const served = tasks.map((task) => ({ task, index: indexOf(`log_served_${task}`) }))
  let waiting: Waiting[] = []
  let [waitingRows, index, last] = [0, 0, Number.POSITIVE_INFINITY]
  const begin = (row: readonly RowCell[]): Waiting => ({
    id: String(row[request]),
    version: (row[version] as string | null) ?? undefined,
    ids: [],
    recorded: Object.fromEntries(tasks.map((task) => [task, []])),
    columns: new Map(keys.map((key) => [key, []])),
  })
  const flush = async () => {
    signal.throwIfAborted()
    if (waitingRows > 0) {
      const answers = await Promise.all(predictors.map((predictor) => ask(predictor, waiting, file)))
      emit(waiting, answers, options)
    }
    waiting = []
    waitingRows = 0
  }
  for await (const row of source.rows()) {
    const at = row[position] as number
    // Ids of requests may repeat; positions of one request ascend.
    if (at <= last || waiting.at(-1)?.id !== row[request]) {
      if (waitingRows >= against.mostRows / 2) await flush()
      waiting.push(begin(row))
    }
    last = at
    if (joined?.leftOut.at(-1) === index++) continue
    const of = waiting.at(-1)!
    of.ids.push(row[id] as string | null)
    for (const { task, index } of served) of.recorded[task]!.push((row[index] as number | null) ?? Number.NaN)
    for (const [i, key] of keys.entries()) {
      const { path } = readers.fields[i]!
      try {
        of.columns.get(key)!.push(cellValue(readers.fields[i]!, row))
      } catch (error) {
        throw new SpecError(file, [{ path, message: `${source.place(index - 1)}: ${reasonOf(error)}` }])
      }
    }
    waitingRows++
  }
  if (waiting.length > 0) await flush()
}

/** The value of a field in a row. Throws an Error. */
function cellValue({ read, list }: OpenDataset['readers']['fields'][number], row: readonly RowCell[]): FeatureValue {
  const value = read(row as readonly never[])
  return list && value !== null ? featureOf(value as ListValue, list.weighted === true) : (value as FeatureValue)
}

/** The answers of a version, in calls of as many rows as it takes. */
async function ask(predictor: Predictor, requests: readonly Waiting[], file: string): Promise<PredictedRows> {
  const readings = readingsOfModel(predictor.fields, { fields: [] })
  const columns = Object.fromEntries(
    readings.map((reading) => [reading.name, requests.flatMap(({ columns }) => columns.get(readingKey(reading))!)]),
  )
  const rows = requests.reduce((sum, { ids }) => sum + ids.length, 0)
  const { mostRows, concurrency } = predictor
  const parts: PredictedRows[] = []
  let next = 0
  const takeTurns = async () => {
    for (let part = next++; part * mostRows < rows; part = next++) {
      const some = Object.entries(columns).map(([name, values]) => [
        name,
        values.slice(part * mostRows, (part + 1) * mostRows),
      ])
      parts[part] = await predictor.predict(Object.fromEntries(some))
    }
  }
  try {
    // A request may have more rows than the queue of a version takes.
    await Promise.all(Array.from({ length: concurrency }, takeTurns))
    return joined(parts)
  } catch (error) {
    if (!(error instanceof RowError)) throw error
    const { name, version } = predictor.model
    throw new SpecError(file, [{ path: '/data', message: `${name}/${version} refuses a candidate: ${error.message}` }])
  }
}

function joined(parts: readonly PredictedRows[]): PredictedRows {
  const [first] = parts
  if (parts.length === 1) return first!
  const join = (of: 'tasks' | 'raw') =>
    Object.fromEntries(
      Object.keys(first![of]).map((name) => [name, parts.flatMap((part) => Array.from(part[of][name]!))]),
    )
  return { tasks: join('tasks'), raw: join('raw'), unknown: parts.flatMap(({ unknown }) => unknown), gates: undefined }
}

function emit(
  waiting: readonly Waiting[],
  [after, before]: readonly PredictedRows[],
  { tasks, readings, onRequest }: ReplayOptions,
): void {
  let start = 0
  for (const { id, version, ids, recorded, columns } of waiting) {
    const end = start + ids.length
    const part = (answer: PredictedRows) =>
      Object.fromEntries(tasks.map((task) => [task, Float64Array.from(ids, (_, i) => answer.tasks[task]![start + i]!)]))
    const values: Record<string, FeatureValue[]> = {}
    // Where versions read a field differently, that of the newer one counts.
    for (const reading of readings) values[reading.name] ??= columns.get(readingKey(reading))!
    if (ids.length > 0)
      onRequest({
        ...{ id, version, rows: ids.length, ids, values },
        before: before
          ? part(before)
          : Object.fromEntries(tasks.map((task) => [task, Float64Array.from(recorded[task]!)])),
        after: part(after!),
        unknown: after!.unknown.slice(start, end),
      })
    start = end
  }
}
