import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { sendProblem } from '../errors/error-handler.ts'
import { type ProblemAnswer, problemDetails, retryAfter } from '../errors/problem-details.ts'
import { closeUnlessSmall } from '../errors/sent-problem.ts'
import { ignoreRest } from '../overload/ignore-rest.ts'
import { type Area, areaOf } from './areas.ts'
import type { Denial, Guard } from './guard.ts'
import type { Key } from './keyring.ts'

/** The property of a request that holds the key that it came with. */
const presented: unique symbol = Symbol('multigate.key')
/** The id of the key of a request that was refused for it. */
const refused: unique symbol = Symbol('multigate.refused')

declare module 'fastify' {
  interface FastifyRequest {
    [presented]?: Key | undefined
    [refused]?: string | undefined
  }
}

/** The key that a request came with; undefined where none was asked for. */
export function keyOfRequest(request: FastifyRequest): Key | undefined {
  return request[presented]
}

/** Whose request it is: the id of its key, though it was refused, or else the address that it came from. */
export function clientOf(request: FastifyRequest): string {
  return request[presented]?.id ?? request[refused] ?? request.ip
}

/**
 * Refuses requests without a key that opens what they ask, by their headers alone. It is registered only where there
 * are keys.
 */
export const guarded = fastifyPlugin(
  async (app: FastifyInstance, { guard, onDenied }: { guard: Guard; onDenied(denial: Denial, area: Area): void }) => {
    app.decorateRequest(presented, undefined)
    app.decorateRequest(refused, undefined)
    app.addHook('onRequest', (request, reply, done) => {
      const area = areaOf(request.routeOptions.url?.slice(app.prefix.length))
      const entered = guard.enter(request.headers, area)
      if (entered !== undefined && 'code' in entered) {
        request[refused] = entered.client
        onDenied(entered, area)
        if (entered.delayMs > 0) reply.header('connection', 'close')
        holdDenial(entered, request.raw, reply.raw, () => deny(entered, request, reply))
        return
      }
      request[presented] = entered
      if (entered?.concurrentRequests !== undefined) reply.raw.once('close', () => guard.limits.end(entered))
      done()
    })
  },
)

/** Calls `deny`, now or later: a denial may have to be held. */
export function holdDenial(
  { delayMs }: Denial,
  request: IncomingMessage,
  response: ServerResponse,
  deny: () => void,
): void {
  if (delayMs === 0) {
    deny()
    return
  }
  // Requests that are pipelined behind it would be held at the same time.
  ignoreRest(request.socket)
  const timer = setTimeout(deny, delayMs)
  response.once('close', () => clearTimeout(timer))
}

function deny(denial: Denial, request: FastifyRequest, reply: FastifyReply): void {
  closeUnlessSmall(request, reply)
  reply.headers(denialHeaders(denial))
  sendProblem(reply, denialProblem(denial, request.id))
}

/** The answer to a denied request. */
export function denialProblem({ code, detail, retryAfterSeconds }: Denial, id: string): ProblemAnswer {
  return {
    body: problemDetails(code, detail, id),
    retryAfterSeconds: retryAfterSeconds === undefined ? undefined : retryAfter(retryAfterSeconds),
  }
}

export function denialHeaders({ code }: Denial): Record<string, string> {
  return code === 'UNAUTHORIZED' ? { 'www-authenticate': 'Bearer realm="multigate"' } : {}
}
