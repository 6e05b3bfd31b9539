import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Bindings, ChildLoggerOptions } from 'pino'

/** The client's `x-request-id` if it is harmless in a header and a log line, else a new one. */
export function requestIdOf({ headers }: IncomingMessage | { headers: IncomingMessage['headers'] }): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID()
}

/** The trace-id of a W3C `traceparent` header, if it is valid. Versions after 00 may say more after the flags. */
export function traceIdOf(header: unknown): string | undefined {
  const [, traceId] =
    typeof header === 'string'
      ? (/^(?!ff|00.{54})[0-9a-f]{2}-([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/.exec(header) ?? [])
      : []
  return traceId === undefined || /^0+$/.test(traceId) ? undefined : traceId
}

/** A request's logger, with its trace-id. */
export function traceLogger(
  this: unknown,
  logger: FastifyBaseLogger,
  bindings: Bindings,
  options: ChildLoggerOptions,
  { headers }: IncomingMessage | { headers: IncomingMessage['headers'] },
): FastifyBaseLogger {
  const traceId = traceIdOf(headers.traceparent)
  return logger.child(traceId === undefined ? bindings : { ...bindings, trace_id: traceId }, options)
}

/** Puts the request's id on every answer. */
export const requestId = fastifyPlugin(async (app: FastifyInstance) => {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
})
