import type { FastifyRequest, RouteOptions } from 'fastify'
import { asError, ModelError } from '../../base/errors.ts'
import { contentCoding } from '../body/decoders.ts'
import { type BodyOptions, bodyBytes } from '../body/raw-body.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { outcomeOf } from '../errors/problem-details.ts'
import { keyOfRequest } from '../security/guarded.ts'
import { abandon, admit, busyProblem, type Exchange } from './admit.ts'
import type { ServerContext } from './context.ts'
import { handle } from './handle.ts'
import type { Protocol } from './protocol.ts'

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

/** How routes receive their bodies: counted among the pending bytes, and decompressed. */
export function bodyOptions({ bodies, decoders, metrics }: ServerContext): BodyOptions {
  return { bodies, decoders, onGivenUp: () => metrics.shed('pending_bytes') }
}

/** Routes that answer a protocol's predictions. */
export function predictionRoute<Params, Asked>(
  context: ServerContext,
  protocol: Protocol<Params, Asked>,
): Omit<RouteOptions, 'url'> {
  return {
    ...admittedRoute(context, protocol.format.name),
    async handler(request, reply) {
      const exchange = request[admittedRequest]!
      const answer = await handle(context, exchange, protocol, request.params as Params, bodyBytes(request))
      const { headers, body } = answer
      for (let i = 0; i < headers.length; i += 2) reply.header(headers[i]!, headers[i + 1]!)
      return body
    },
  }
}

/** Options of a protocol's route that bring a request to its handler, or refuse it. The body comes as bytes. */
export function admittedRoute(
  context: ServerContext,
  protocol: string,
): Pick<RouteOptions, 'method' | 'config' | 'validatorCompiler' | 'onRequest' | 'errorHandler'> {
  const { clock, guard, metrics, timeline } = context
  /** Shared by all requests; Fastify collects a route's options on each access. */
  let bodyLimit: number | undefined
  return {
    method: 'POST',
    config: { predicts: true },
    // Body and headers are described for /docs, and checked by the handler.
    validatorCompiler: () => () => true,
    // Before the body is read: a flood is refused by its headers.
    onRequest(request, reply, done) {
      bodyLimit ??= request.routeOptions.bodyLimit
      const { headers, id } = request
      const now = clock.now()
      const arrived = now - reply.elapsedTime
      const key = guard && keyOfRequest(request)
      const bytes = expectedBytes(request, bodyLimit)
      const admitted = admit(context, { headers, id, response: reply.raw, protocol, key, arrived, bytes }, now)
      if ('message' in admitted) {
        sendProblem(reply, busyProblem(admitted, id))
        return
      }
      admitted.stages = timeline?.admitted(request)
      request[admittedRequest] = admitted
      done()
    },
    errorHandler(error, request, reply) {
      // A body that can't be read never reaches the handler.
      const outcome = () => (request.raw.readableAborted ? 'cancelled' : outcomeOf(error))
      const exchange = request[admittedRequest]
      if (exchange === null) metrics.ended({ outcome: outcome(), seconds: reply.elapsedTime / 1000 })
      else if (!exchange.bodySettled) abandon(context, exchange, outcome())
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
