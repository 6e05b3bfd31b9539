import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { ModelError, type ModelErrorCode } from '../../base/errors.ts'
import type { Tenant } from '../../model/contracts/engine.ts'
import type { PredictionTable } from '../../model/contracts/prediction.ts'
import type { LoadedModel, PendingPrediction } from '../../model/serving/prediction/loaded-model.ts'
import type { Lease, Registry } from '../../model/serving/registry/registry.ts'
import { type ProblemAnswer, problemDetails, retryAfter, toProblem } from '../errors/problem-details.ts'
import type { AdmittedEntry, Refusal } from '../overload/admission.ts'
import { viewFor } from '../security/areas.ts'
import type { Key } from '../security/keyring.ts'
import type { ServerContext } from './context.ts'

/*
 * The parts that all predictions share, whatever their bodies look like and whichever way they came in: the deadline,
 * the lease of a version, what happens when the client goes away, and metrics.
 */

/** A request to be predicted, from its admission to its answer. */
export interface Exchange {
  readonly headers: IncomingHttpHeaders
  readonly id: string
  readonly response: ServerResponse
  readonly ticket: AdmittedEntry
  /** That it came with; undefined where clients need none. */
  readonly key: Key | undefined
  /** On the clock, ms. */
  readonly arrived: number
  /** Where its timeline is kept: the model as it asks it, and the id of its trace. */
  readonly followed?: { watch(model: LoadedModel): LoadedModel; trace(): string | undefined } | undefined
  pending: PendingPrediction | undefined
  /** Its body has been read. */
  handled: boolean
}

/** How a request is answered that would be too late. */
export function busyProblem({ message, retryAfterSeconds }: Refusal, id: string): ProblemAnswer {
  const body = problemDetails('QUEUE_FULL', message, id)
  return { body, retryAfterSeconds: retryAfter(retryAfterSeconds) }
}

/** Settles an exchange when its response closes, sent or not: where its client has gone, it is cancelled. */
export function closeWith(exchange: Exchange): void {
  const { response, ticket } = exchange
  // The request's own signal fires as soon as a body has been read; the response's `close` comes when the client is
  // gone.
  response.on('close', () => {
    ticket.leave()
    if (!response.writableEnded) exchange.pending?.cancel()
  })
}

/**
 * Answers a request whose body has arrived: `start` reads it and hands it to a model, with the time of its arrival, ms
 * on the clock; `encode` writes what the model answers.
 */
export async function answerPrediction<T>(
  { metrics, registry, clock, access }: ServerContext,
  exchange: Exchange,
  start: (
    acquire: (...version: Parameters<Registry['acquire']>) => LoadedModel,
    arrived: number,
  ) => PendingPrediction | Promise<PendingPrediction>,
  encode: (model: LoadedModel, table: PredictionTable) => T,
): Promise<T> {
  const { ticket, key, response } = exchange
  exchange.handled = true
  const models = viewFor(registry, key)
  let lease: Lease | undefined
  let namesModel = true
  let outcome = 'ok'
  let began = clock.now()
  /** The last time that the clock was read. */
  let now = began
  try {
    let pending: PendingPrediction
    try {
      const started = start((...version) => {
        namesModel = version[0] !== undefined
        lease = models.acquire(...version)
        const model = key === undefined ? lease.model : forTenant(lease.model, key.tenant)
        return exchange.followed?.watch(model) ?? model
      }, ticket.arrived)
      // A large body is read elsewhere: it keeps no other request waiting.
      if (started instanceof Promise) began = Number.POSITIVE_INFINITY
      pending = started instanceof Promise ? await started : started
      exchange.pending = pending
      if (key !== undefined) access?.guard.limits.rows(key, pending.rows)
      // The client left while a large body was read; the prediction was not cancelled.
      if (response.destroyed) pending.cancel()
    } finally {
      now = clock.now()
      ticket.read(exchange.pending?.engineSeconds, began, now)
    }
    const { model } = lease!
    metrics.encoded(model, pending.rows, pending.encodeSeconds)
    let table = pending.computed
    if (table === undefined) {
      table = await pending.table
      now = clock.now()
    }
    metrics.predicted(model, table, pending.observed)
    if (key !== undefined) access?.metrics.answered(key, pending.rows)
    const computed = now
    const answer = encode(model, table)
    now = clock.now()
    metrics.written(model, (now - computed) / 1000)
    return answer
  } catch (error) {
    now = clock.now()
    outcome = outcomeOf(error)
    throw namesModel ? error : ofDefault(error, lease?.model)
  } finally {
    metrics.request(lease?.model, outcome, (now - exchange.arrived) / 1000, exchange.followed?.trace())
    if (key !== undefined) metrics.keys.ended(key.id, outcome, exchange.pending?.rows ?? 0)
    lease?.release()
  }
}

/** Codes of what is wrong with a request as its model sees it: who asks without a name may mean another model. */
const ofRequests: readonly ModelErrorCode[] = ['INVALID_REQUEST', 'TOO_MANY_ROWS']

function ofDefault(error: unknown, model: LoadedModel | undefined): unknown {
  if (!(error instanceof ModelError && model !== undefined && ofRequests.includes(error.code))) return error
  const { code, message, problems } = error
  return new ModelError(code, message, {
    ...(problems && { problems }),
    defaultModel: model.manifest.name,
    cause: error,
  })
}

/** The model as a tenant asks it. */
function forTenant(model: LoadedModel, tenant: Tenant): LoadedModel {
  return { ...model, predict: (query) => model.predict({ ...query, tenant }) }
}

/** `cancelled`, or the code of the error that the client gets. */
export function outcomeOf(error: unknown): string {
  if (error instanceof ModelError && error.code === 'CANCELLED') return 'cancelled'
  return toProblem(error, '').body.code.toLowerCase()
}

/** Milliseconds from arrival: what the body asks for, else the header, else the configured default. */
export function deadlineOf(asked: number | undefined, headers: IncomingHttpHeaders, fallback: number): number {
  if (asked !== undefined) return asked
  const header = headers['x-deadline-ms']
  if (header === undefined) return fallback
  const value = headerDeadline(header)
  if (value !== undefined) return value
  const message = 'The header x-deadline-ms must be a number of milliseconds, above 0 and at most 600000'
  throw new ModelError('INVALID_REQUEST', message, { problems: [{ path: '', message }] })
}

/** The header's deadline, ms; undefined where it is none. */
export function headerDeadline(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string' || header.trim() === '') return undefined
  const value = Number(header)
  return value > 0 && value <= 600_000 ? value : undefined
}
