import type { TrainSpec } from '../schemas/train-spec.ts'
import type { Dataset } from './dataset.ts'
import type { Predictions } from './report.ts'
import type { Cell } from './source.ts'

/** Rows of one request. */
const requestRows = 500
/** Concurrent requests. */
const concurrency = 4
/** Retries per request after 429 or 503. */
const retries = 20

export interface RemoteOptions {
  /** Base address of the service, e.g. `http://127.0.0.1:3000`. */
  url: string
  /** The service's name for the model. */
  model: string
  /** Requested version; default: the service's choice. */
  version?: string
  fetch: typeof fetch
  sleep(milliseconds: number): Promise<unknown>
  signal: AbortSignal
}

/**
 * Requests the probabilities of the test rows from a service: columnar named features, `POST /predict`. Rejects with the
 * service's own message if it rejects a request, or with the problem of its answer.
 */
export async function predictRemotely(
  spec: TrainSpec,
  { cells, parts }: Dataset,
  options: RemoteOptions,
): Promise<Predictions> {
  const tasks = [...spec.tasks, ...spec.derived].map(({ name }) => name)
  const rows = parts.test
  const predictions = Object.fromEntries(tasks.map((task) => [task, new Float64Array(rows.length)]))
  let next = 0
  const work = async () => {
    while (next < rows.length) {
      const start = next
      next += requestRows
      const batch = rows.subarray(start, start + requestRows)
      const candidates = Object.fromEntries(spec.fields.map(({ name }, field) => [name, pick(cells[field]!, batch)]))
      const answer = await ask(options, tasks, candidates)
      for (const task of tasks) predictions[task]!.set(columnOf(answer, task, batch.length), start)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return predictions
}

async function ask(options: RemoteOptions, tasks: string[], candidates: Record<string, Cell[]>): Promise<unknown> {
  const { url, model, version, fetch, sleep, signal } = options
  const body = JSON.stringify({ model, ...(version === undefined ? {} : { version }), tasks, candidates })
  const address = new URL('predict', url.endsWith('/') ? url : `${url}/`)
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal,
    }).catch((cause) => {
      throw new Error(`${address} can't be reached: ${cause.cause?.message ?? cause.message}`, { cause })
    })
    const text = await response.text()
    if (response.ok) return JSON.parse(text)
    const busy = response.status === 429 || response.status === 503
    if (!busy || attempt >= retries) throw new Error(`${address} answered ${response.status}: ${detailOf(text)}`)
    await sleep(1000 * (Number(response.headers.get('retry-after')) || 0.1))
  }
}

function columnOf(answer: unknown, task: string, rows: number): number[] {
  const column = (answer as { predictions?: Record<string, unknown> }).predictions?.[task]
  if (!Array.isArray(column) || column.length !== rows || !column.every((value) => typeof value === 'number')) {
    throw new Error(`The service's answer has no column of ${rows} numbers for ${task}`)
  }
  return column
}

/** RFC 9457's detail and the first problems, or the text unchanged. */
function detailOf(text: string): string {
  try {
    const {
      title,
      detail,
      errors = [],
    } = JSON.parse(text) as { title?: string; detail?: string; errors?: { path: string; message: string }[] }
    const problems = errors.slice(0, 5).map(({ path, message }) => `${path} ${message}`)
    return [detail ?? title ?? text, ...problems].join('; ')
  } catch {
    return text.slice(0, 500)
  }
}

function pick(column: readonly Cell[], rows: Int32Array): Cell[] {
  return Array.from(rows, (row) => column[row] ?? null)
}
