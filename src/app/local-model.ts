import { systemClock } from '../base/clock.ts'
import { ModelError, type ModelErrorCode } from '../base/errors.ts'
import type { modelSettings, Settings } from '../base/settings.ts'
import { invalidRequest } from '../model/serving/features/problems.ts'
import type { LoadedModel, PendingPrediction } from '../model/serving/prediction/loaded-model.ts'
import { loadModel } from '../model/serving/prediction/model.ts'
import { findBundle } from '../model/serving/version/read-version.ts'
import type { Configuration } from '../schemas/configuration.ts'
import type {
  ColumnsRequest,
  PredictAnswer,
  Prediction,
  PredictionColumns,
  PredictRequest,
} from '../schemas/predict.ts'
import type { ProblemCode, ProblemItem } from '../schemas/problem.ts'
import { toProblem } from '../server/errors/problem-details.ts'
import { toColumns, toRows } from '../server/protocols/predict/predict-values.ts'
import { orProblems, readQuery } from '../server/protocols/predict/read-query.ts'
import { loadOptions, startPool } from './load-options.ts'

export type ModelOptions = Settings<(typeof modelSettings)[number]> & {
  /** Receives warnings: a plan that could not be cached, a worker that died. */
  onWarning?: ((message: string) => void) | undefined
}

type Answer<Predictions> = Omit<PredictAnswer, 'request_id' | 'predictions'> & { predictions: Predictions }
/** Row i answers row i of the request, unless `rank` asks for an order; null is a bad row, with `partial` alone. */
export type RowsAnswer = Answer<(Prediction | null)[]>
/** The same as columns, like the request. */
export type ColumnsAnswer = Answer<PredictionColumns>

export interface PredictCall {
  /** Gives the request up: it rejects with the signal's reason, and costs the workers nothing that has not begun. */
  signal?: AbortSignal | undefined
}

/** A model version that is loaded, verified and warm, and answers in this process. */
export interface Model {
  readonly name: string
  readonly version: string
  /** Tasks that it can be asked for, derived ones too. */
  readonly tasks: readonly string[]
  /**
   * The probability of every task for every candidate: what `POST /predict` answers to the same body. May be called
   * many times in parallel; waiting requests are batched.
   *
   * Rejects with MultigateError.
   */
  predict(request: ColumnsRequest, call?: PredictCall): Promise<ColumnsAnswer>
  predict(request: Exclude<PredictRequest, ColumnsRequest>, call?: PredictCall): Promise<RowsAnswer>
  predict(request: PredictRequest, call?: PredictCall): Promise<RowsAnswer | ColumnsAnswer>
  /** Answers what is accepted, then frees everything. Idempotent. */
  close(): Promise<void>
}

/** Loads the bundle of that folder, with worker threads of its own. Rejects with MultigateError. */
export async function openModel(
  path: string,
  configuration: Configuration,
  onWarning: (message: string) => void,
): Promise<Model> {
  const log = {
    info: () => undefined,
    warn: onWarning,
    error: (details: object, message: string) => onWarning(`${message}: ${JSON.stringify(details)}`),
  }
  return throwing(async () => {
    const bundle = await findBundle(path)
    if (bundle === undefined) throw new ModelError('MODEL_NOT_FOUND', `${path} is no folder of a model or a version`)
    const pool = await startPool(configuration, log as never)
    try {
      const loaded = await loadModel(bundle, loadOptions(configuration, pool, log as never))
      let closed: Promise<void> | undefined
      return modelOf(loaded, configuration.MULTIGATE_DEADLINE_MS, () => {
        closed ??= loaded.close().then(() => pool.close())
        return closed
      })
    } catch (error) {
      await pool.close()
      throw error
    }
  })
}

function modelOf(loaded: LoadedModel, deadlineMs: number, close: () => Promise<void>): Model {
  const { manifest } = loaded
  const { name, version } = manifest
  return {
    name,
    version,
    tasks: [...manifest.tasks, ...manifest.derived].map((task) => task.name),
    predict: (request: PredictRequest, { signal }: PredictCall = {}) =>
      throwing(async () => {
        signal?.throwIfAborted()
        const query = readQuery(request)
        const { rows, tasks, options, problems } = query
        orProblems(problems, () => checkAddress(query, name, version))
        const deadline = systemClock.now() + (options?.deadline_ms ?? deadlineMs)
        const pending = loaded.predict({ rows, tasks, options, problems, deadline })
        const table = await unlessAborted(pending, signal)
        const predictions = rows.form === 'columns' ? toColumns(table) : toRows(table)
        const errors = table.problems.length > 0 ? { errors: table.problems } : {}
        return { model: name, version, predictions, ...errors } as RowsAnswer & ColumnsAnswer
      }, signal),
    close,
  }
}

/** A request may say who should answer it, as over HTTP; then it must be this model. */
function checkAddress(asked: { model?: unknown; version?: unknown; label?: unknown }, name: string, version: string) {
  if (asked.model !== undefined && asked.model !== name)
    throw new ModelError('MODEL_NOT_FOUND', `The request is for ${asked.model}, but this is ${name}`)
  if (asked.version !== undefined && asked.version !== version)
    throw new ModelError('VERSION_NOT_FOUND', `The request is for version ${asked.version}, but this is ${version}`)
  if (asked.label !== undefined)
    throw invalidRequest([{ path: '/label', message: 'is possible over HTTP alone: a folder of models has labels' }])
}

async function unlessAborted(pending: PendingPrediction, signal: AbortSignal | undefined) {
  signal?.addEventListener('abort', pending.cancel, { once: true })
  try {
    const table = await pending.table
    // A small model may have answered before the signal came.
    signal?.throwIfAborted()
    return table
  } finally {
    signal?.removeEventListener('abort', pending.cancel)
  }
}

/** Converts an internal error to the public one; an aborted call rejects with the signal's reason. */
async function throwing<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw new MultigateError(error)
  }
}

/**
 * Why a model could not be loaded, or a request was not answered: what the HTTP interface says in problem details
 * (RFC 9457), as an Error. The `cause` is what was thrown inside.
 */
export class MultigateError extends Error {
  /** The kind of problem, for programs; docs/errors.md explains each. */
  readonly code: ProblemCode | ModelErrorCode
  /** The HTTP status that a client would have got. */
  readonly status: number
  /** The kind of problem, for people. */
  readonly title: string
  /** INVALID_REQUEST: everything that is wrong, at most 100, each with a JSON pointer (RFC 6901) into the request. */
  readonly errors: ProblemItem[] | undefined
  /** DEADLINE_EXCEEDED: where the request was. */
  readonly stage: 'queue' | 'compute' | undefined
  /** QUEUE_FULL: when it is worth while to come again, s. */
  readonly retryAfterSeconds: number | undefined

  constructor(cause: unknown) {
    const { body, retryAfterSeconds } = toProblem(cause, '')
    // Callers in the same process may know the inside.
    super(cause instanceof Error ? cause.message : body.detail, { cause })
    this.name = 'MultigateError'
    this.code = cause instanceof ModelError ? cause.code : body.code
    this.status = body.status
    this.title = body.title
    this.errors = body.errors
    this.stage = body.stage
    this.retryAfterSeconds = retryAfterSeconds
  }
}
