import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest, RouteOptions } from 'fastify'
import { asError, ModelError } from '../../base/errors.ts'
import { contentCoding } from '../body/decoders.ts'
import type { BodyOptions } from '../body/raw-body.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { keyOfRequest } from '../security/guarded.ts'
import type { ServerContext } from './context.ts'
import { busyProblem, closeWith, type Exchange, headerDeadline, outcomeOf } from './exchange.ts'

/*
 * The routes that predict, within Fastify: admission by the headers, and the errors of bodies that can't be read.
 */

/** The property that a request to a route that predicts has once it has been admitted; no other plugin's name. */
export const admittedRequest: unique symbol = Symbol('multigate.flight')

declare module 'fastify' {
  interface FastifyRequest {
    [admittedRequest]: Exchange | null
  }
  interface FastifyContextConfig {
    /** The route answers predictions. */
    predicts?: boolean
  }
}

/**
 * The header `priority` (RFC 9218) of requests that are admitted only while hardly anything waits, as the console's.
 */
export const lowest = 'u=7'

/** How routes receive their bodies: counted among the pending bytes, and decompressed. */
export function bodyOptions({ bodies, decoders, metrics }: ServerContext): BodyOptions {
  return { bodies, decoders, onGivenUp: () => metrics.shed('pending_bytes') }
}

/** Route options that bring a request to its handler, or refuse it. The body comes as bytes. */
export function predictionRoute({
  admission,
  clock,
  metrics,
  deadlineMs,
  access,
  timeline,
}: ServerContext): Pick<RouteOptions, 'method' | 'config' | 'validatorCompiler' | 'onRequest' | 'errorHandler'> {
  /** Shared by all requests; Fastify collects a route's options on each access. */
  let bodyLimit: number | undefined
  return {
    method: 'POST',
    config: { predicts: true },
    // Body and headers are described for /docs, and checked by the handler.
    validatorCompiler: () => () => true,
    // Before the body is read: a flood is refused by its headers.
    onRequest(request, reply, done) {
      const { headers } = request
      const deadline = headerDeadline(headers['x-deadline-ms']) ?? deadlineMs
      bodyLimit ??= request.routeOptions.bodyLimit
      const key = access && keyOfRequest(request)
      const ticket = admission.enter(deadline, expectedBytes(request, bodyLimit), key?.id, headers.priority === lowest)
      if (!ticket.admitted) {
        metrics.shed('busy')
        metrics.request(undefined, 'queue_full', reply.elapsedTime / 1000)
        if (key !== undefined) metrics.keys.ended(key.id, 'queue_full', 0)
        sendProblem(reply, busyProblem(ticket, request.id))
        return
      }
      timeline?.admitted(request)
      const exchange: Exchange = {
        headers,
        id: request.id,
        response: reply.raw,
        ticket,
        key,
        arrived: clock.now() - reply.elapsedTime,
        followed: timeline && {
          watch: (model) => timeline.watch(request, model),
          trace: () => timeline.traceOf(request),
        },
        pending: undefined,
        handled: false,
      }
      request[admittedRequest] = exchange
      closeWith(exchange)
      done()
    },
    errorHandler(error, request, reply) {
      // A body that can't be read never reaches the handler.
      if (!request[admittedRequest]?.handled) {
        const outcome = request.raw.readableAborted ? 'cancelled' : outcomeOf(error)
        metrics.request(undefined, outcome, reply.elapsedTime / 1000)
      }
      // Dropped while it was received: the rest of its body is not read.
      if (error instanceof ModelError && !request.raw.complete) reply.header('connection', 'close')
      // The application's handler answers, where an Error is thrown: anything else would be sent unchanged.
      throw asError(error)
    },
  }
}

/** Size that a compressed body of JSON inflates to, roughly, as a multiple of its own. */
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

/** A response with status 200. */
export interface WrittenResponse {
  /** Names and values in turn, without those that every response has. */
  headers: string[]
  body: Buffer
}

/** How a protocol answers its ordinary requests: those that ask for nothing but a prediction. */
export interface OrdinaryRoute<Params = never> {
  /** The parameters that a path names; undefined where it is not this route's, or is written in another way. */
  match(url: string): Params | undefined
  /** Content types that are read; undefined where a request may have none. */
  types: ReadonlySet<string | undefined>
  /** Whether these headers ask for more. */
  asksMore?(headers: IncomingHttpHeaders): boolean
  /** Problems are answered as `{"error": …}`. */
  problemsAsText: boolean
  /** Rejects with what is wrong with the request. */
  respond(context: ServerContext, exchange: Exchange, params: Params, bytes: Buffer): Promise<WrittenResponse>
}

/** A model's or version's name that needs no decoding. */
export const plainName = '[A-Za-z0-9][A-Za-z0-9._-]{0,127}'
