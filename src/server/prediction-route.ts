import { Transform } from 'node:stream'
import type { FastifyReply, FastifyRequest, RequestPayload, RouteOptions } from 'fastify'
import { ModelError, reasonOf } from '../model/errors.ts'
import type { PredictionTable } from '../model/prediction/answer.ts'
import type { LoadedModel, PendingPrediction } from '../model/prediction/model.ts'
import type { Lease } from '../model/registry/registry.ts'
import type { Ticket } from './admission.ts'
import type { ServerContext } from './context.ts'
import { problemDetails, toProblem } from './errors.ts'
import type { PendingBytes } from './pending-bytes.ts'
import { sendProblem } from './plugins/problems.ts'

/*
 * What all routes share that predict, whatever their bodies look like: admission by the headers, the deadline, the lease of
 * a version, what happens when the client goes away, and metrics.
 */

/** What is known of a request from its headers on. */
interface Flight {
  ticket: Ticket
  pending: PendingPrediction | undefined
  handled: boolean
}

/** A body that says it has at most so many bytes isn't counted while it is received: one packet of it is little less. */
const smallBody = 1 << 16

/** What a request to a route that predicts is decorated with, once it has been admitted; no other plugin's name. */
export const flight: unique symbol = Symbol('multigate.flight')

declare module 'fastify' {
  interface FastifyRequest {
    [flight]: Flight | null
  }
}

/** Route options that bring a request to its handler, or refuse it. The body comes as bytes. */
export function predictionRoute({
  admission,
  bodies,
  metrics,
  deadlineMs,
}: ServerContext): Pick<RouteOptions, 'method' | 'validatorCompiler' | 'onRequest' | 'preParsing' | 'errorHandler'> {
  /** The same for all; Fastify gathers a route's options anew for each who asks. */
  let bodyLimit: number | undefined
  return {
    method: 'POST',
    // Body and headers are described for /docs, and checked by the handler.
    validatorCompiler: () => () => true,
    // Before the body is read: a flood is refused by its headers.
    onRequest(request, reply, done) {
      const { headers } = request
      const deadline = headerDeadline(headers['x-deadline-ms']) ?? deadlineMs
      const bytes = plainBytes(request)
      bodyLimit ??= request.routeOptions.bodyLimit
      // One that is too large will be refused by its length, and costs nothing.
      const ticket = admission.enter(deadline, bytes !== undefined && bytes > bodyLimit ? 0 : bytes)
      if (!ticket.admitted) {
        metrics.shed('busy')
        metrics.request(undefined, 'queue_full', reply.elapsedTime / 1000)
        const { message, retryAfterSeconds } = ticket
        const body = problemDetails('QUEUE_FULL', message, request.id)
        sendProblem(reply, { body, retryAfterSeconds: Math.max(1, Math.ceil(retryAfterSeconds)) })
        return
      }
      const own: Flight = { ticket, pending: undefined, handled: false }
      request[flight] = own
      // The request's own signal fires as soon as a body has been read; the answer's `close` comes when the client is gone.
      reply.raw.once('close', () => {
        ticket.leave()
        if (!reply.raw.writableEnded) own.pending?.cancel()
      })
      done()
    },
    preParsing(request, reply, payload, done) {
      const bytes = plainBytes(request)
      if (bytes !== undefined && bytes <= smallBody) done(null, payload)
      else
        done(
          null,
          counted(payload, request, reply, bodies, () => metrics.shed('pending_bytes')),
        )
    },
    errorHandler(error, request, reply) {
      // A body that can't be read never reaches the handler.
      if (!request[flight]?.handled) {
        const outcome = request.raw.readableAborted ? 'cancelled' : outcomeOf(error)
        metrics.request(undefined, outcome, reply.elapsedTime / 1000)
      }
      // The application's handler answers, where an Error is thrown: anything else would be sent as it is.
      throw error instanceof Error ? error : new Error(reasonOf(error))
    },
  }
}

/**
 * Answers a request that has been read: `start` hands it to a model, at once and with the time of its arrival, ms on the
 * clock; `encode` writes what the model answers.
 */
export async function answerPrediction<T>(
  { metrics, registry, clock }: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  start: (
    acquire: (...version: Parameters<typeof registry.acquire>) => LoadedModel,
    arrived: number,
  ) => PendingPrediction,
  encode: (model: LoadedModel, table: PredictionTable) => T,
): Promise<T> {
  const own = request[flight]!
  own.handled = true
  let lease: Lease | undefined
  let outcome = 'ok'
  const began = clock.now()
  try {
    let pending: PendingPrediction
    try {
      pending = start((...version) => {
        lease = registry.acquire(...version)
        return lease.model
      }, own.ticket.arrived)
      own.pending = pending
    } finally {
      own.ticket.read(own.pending?.engineSeconds, began)
    }
    const { model } = lease!
    metrics.encoded(model, pending.rows, pending.encodeSeconds)
    const table = await pending.table
    metrics.predicted(model, table)
    const computed = clock.now()
    const answer = encode(model, table)
    metrics.written(model, (clock.now() - computed) / 1000)
    return answer
  } catch (error) {
    outcome = outcomeOf(error)
    throw error
  } finally {
    metrics.request(lease?.model, outcome, reply.elapsedTime / 1000)
    lease?.release()
  }
}

/** Bytes of a body as it says itself; undefined where it doesn't, or they are compressed. */
function plainBytes({ headers }: FastifyRequest): number | undefined {
  const { 'content-length': length, 'content-encoding': encoding = 'identity' } = headers
  return length === undefined || encoding !== 'identity' ? undefined : Number(length)
}

/** Counts a body among those that are being received, and fails it with QUEUE_FULL where it has to make room. */
function counted(
  payload: RequestPayload,
  { raw }: FastifyRequest,
  reply: FastifyReply,
  bodies: PendingBytes,
  onGivenUp: () => void,
): RequestPayload {
  const body = bodies.open(() => {
    onGivenUp()
    // What is left of it is not read.
    reply.header('connection', 'close')
    const message = 'Too many bytes of request bodies are being received, and this body is the largest'
    passing.destroy(new ModelError('QUEUE_FULL', message, { retryAfterSeconds: 1 }))
  })
  const passing: Transform & { receivedEncodedLength?: number } = new Transform({
    transform(chunk: Buffer, _, done) {
      // Fastify compares it with the length that was announced.
      if (payload.receivedEncodedLength !== undefined) passing.receivedEncodedLength = payload.receivedEncodedLength
      body.add(chunk.length)
      done(null, chunk)
    },
  })
  payload.once('error', (error) => passing.destroy(error))
  passing.once('close', () => body.close())
  reply.raw.once('close', () => {
    body.close()
    if (raw.readableEnded) return
    // Answered before its end: the rest is passed over as it is, without decompressing it.
    raw.unpipe()
    raw.resume()
  })
  return payload.pipe(passing)
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
