import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { ModelError, reasonOf } from '../../model/base/errors.ts'
import type { PredictionTable } from '../../model/contracts/prediction.ts'
import type { Tenant } from '../../model/contracts/tenant.ts'
import type { LoadedModel, PendingPrediction } from '../../model/prediction/contract.ts'
import type { Lease, Registry } from '../../model/registry/registry.ts'
import { contentCoding } from '../body/decoders.ts'
import type { BodyOptions } from '../body/raw-body.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails, toProblem } from '../errors/problem-details.ts'
import type { AdmittedEntry } from '../overload/admission.ts'
import { keyOf } from '../security/guarded.ts'
import { viewFor } from '../security/model-view.ts'
import type { ServerContext } from './context.ts'

/*
 * What all routes share that predict, whatever their bodies look like: admission by the headers, the deadline, the lease of
 * a version, what happens when the client goes away, and metrics.
 */

/** State of a request from its headers on. */
interface AdmittedRequest {
  ticket: AdmittedEntry
  pending: PendingPrediction | undefined
  handled: boolean
}

/** What a request to a route that predicts is decorated with, once it has been admitted; no other plugin's name. */
export const admittedRequest: unique symbol = Symbol('multigate.flight')

declare module 'fastify' {
  interface FastifyRequest {
    [admittedRequest]: AdmittedRequest | null
  }
}

/** How routes receive their bodies: counted among the pending bytes, and decompressed. */
export function bodyOptions({ bodies, decoders, metrics }: ServerContext): BodyOptions {
  return { bodies, decoders, onGivenUp: () => metrics.shed('pending_bytes') }
}

/** Route options that bring a request to its handler, or refuse it. The body comes as bytes. */
export function predictionRoute({
  admission,
  metrics,
  deadlineMs,
  access,
  timeline,
}: ServerContext): Pick<RouteOptions, 'method' | 'validatorCompiler' | 'onRequest' | 'errorHandler'> {
  /** Shared by all requests; Fastify collects a route's options on each access. */
  let bodyLimit: number | undefined
  return {
    method: 'POST',
    // Body and headers are described for /docs, and checked by the handler.
    validatorCompiler: () => () => true,
    // Before the body is read: a flood is refused by its headers.
    onRequest(request, reply, done) {
      const { headers } = request
      const deadline = headerDeadline(headers['x-deadline-ms']) ?? deadlineMs
      bodyLimit ??= request.routeOptions.bodyLimit
      const ticket = admission.enter(deadline, expectedBytes(request, bodyLimit), access && keyOf(request)?.id)
      if (!ticket.admitted) {
        metrics.shed('busy')
        metrics.request(undefined, 'queue_full', reply.elapsedTime / 1000)
        const { message, retryAfterSeconds } = ticket
        const body = problemDetails('QUEUE_FULL', message, request.id)
        sendProblem(reply, { body, retryAfterSeconds: Math.max(1, Math.ceil(retryAfterSeconds)) })
        return
      }
      timeline?.admitted(request)
      const own: AdmittedRequest = { ticket, pending: undefined, handled: false }
      request[admittedRequest] = own
      // The request's own signal fires as soon as a body has been read; the answer's `close` comes when the client is gone.
      reply.raw.once('close', () => {
        ticket.leave()
        if (!reply.raw.writableEnded) own.pending?.cancel()
      })
      done()
    },
    errorHandler(error, request, reply) {
      // A body that can't be read never reaches the handler.
      if (!request[admittedRequest]?.handled) {
        const outcome = request.raw.readableAborted ? 'cancelled' : outcomeOf(error)
        metrics.request(undefined, outcome, reply.elapsedTime / 1000)
      }
      // Dropped to make room for others: the rest of its body is not read.
      if (error instanceof ModelError && error.code === 'QUEUE_FULL' && !request.raw.complete)
        reply.header('connection', 'close')
      // The application's handler answers, where an Error is thrown: anything else would be sent unchanged.
      throw error instanceof Error ? error : new Error(reasonOf(error))
    },
  }
}

/**
 * Answers a request whose body has arrived: `start` reads it and hands it to a model, with the time of its arrival, ms on the
 * clock; `encode` writes what the model answers.
 */
export async function answerPrediction<T>(
  { metrics, registry, clock, timeline, access }: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  start: (
    acquire: (...version: Parameters<Registry['acquire']>) => LoadedModel,
    arrived: number,
  ) => PendingPrediction | Promise<PendingPrediction>,
  encode: (model: LoadedModel, table: PredictionTable) => T,
): Promise<T> {
  const own = request[admittedRequest]!
  own.handled = true
  const key = access && keyOf(request)
  const models = viewFor(registry, key)
  let lease: Lease | undefined
  let outcome = 'ok'
  let began = clock.now()
  try {
    let pending: PendingPrediction
    try {
      const started = start((...version) => {
        lease = models.acquire(...version)
        const model = key === undefined ? lease.model : forTenant(lease.model, key.tenant)
        return timeline?.watch(request, model) ?? model
      }, own.ticket.arrived)
      // A large body is read elsewhere: it keeps no other request waiting.
      if (started instanceof Promise) began = Number.POSITIVE_INFINITY
      pending = started instanceof Promise ? await started : started
      own.pending = pending
      if (key !== undefined) access?.guard.limits.rows(key, pending.rows)
      // The client left while a large body was read; the prediction was not cancelled.
      if (reply.raw.destroyed) pending.cancel()
    } finally {
      own.ticket.read(own.pending?.engineSeconds, began)
    }
    const { model } = lease!
    metrics.encoded(model, pending.rows, pending.encodeSeconds)
    const table = await pending.table
    metrics.predicted(model, table)
    if (key !== undefined) access?.metrics.answered(key, pending.rows)
    const computed = clock.now()
    const answer = encode(model, table)
    metrics.written(model, (clock.now() - computed) / 1000)
    return answer
  } catch (error) {
    outcome = outcomeOf(error)
    throw error
  } finally {
    metrics.request(lease?.model, outcome, reply.elapsedTime / 1000, timeline?.traceOf(request))
    lease?.release()
  }
}

/** The model as a tenant asks it. */
function forTenant(model: LoadedModel, tenant: Tenant): LoadedModel {
  return { ...model, predict: (query) => model.predict({ ...query, tenant }) }
}

/** What a compressed body of JSON inflates to, roughly, as a multiple of its size. */
const usualCompression = 8

/** Bytes that a body has once it is read, as far as its headers tell; undefined where they don't. */
function expectedBytes(request: FastifyRequest, bodyLimit: number): number | undefined {
  const length = request.headers['content-length']
  if (length === undefined) return undefined
  const bytes = Number(length)
  // A body that is too large will be refused by its length, and costs nothing.
  if (bytes > bodyLimit) return 0
  return contentCoding(request) === undefined ? bytes : Math.min(bytes * usualCompression, bodyLimit)
}

/** `cancelled`, or the code of the error that the client gets. */
function outcomeOf(error: unknown): string {
  if (error instanceof ModelError && error.code === 'CANCELLED') return 'cancelled'
  return toProblem(error, '').body.code.toLowerCase()
}

/** Milliseconds from arrival: what the body asks for, else the header, else the configured default. */
export function deadlineOf(asked: number | undefined, headers: FastifyRequest['headers'], fallback: number): number {
  if (asked !== undefined) return asked
  const header = headers['x-deadline-ms']
  if (header === undefined) return fallback
  const value = headerDeadline(header)
  if (value !== undefined) return value
  const message = 'The header x-deadline-ms must be a number of milliseconds, above 0 and at most 600000'
  throw new ModelError('INVALID_REQUEST', message, { problems: [{ path: '', message }] })
}

/** The header's deadline, ms; undefined where it is none. */
function headerDeadline(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string' || header.trim() === '') return undefined
  const value = Number(header)
  return value > 0 && value <= 600_000 ? value : undefined
}
