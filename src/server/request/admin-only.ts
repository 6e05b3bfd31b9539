import type { FastifyReply, FastifyRequest } from 'fastify'
import { closeUnlessSmall } from '../errors/close-unless-small.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { keyOf } from '../security/guarded.ts'

/** A hook that refuses requests where administration is not enabled. */
export function adminOnly({ admin }: { admin: boolean }) {
  return (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const foreign = keyOf(request) === undefined && isForeign(request)
    if (admin && !foreign) {
      done()
      return
    }
    closeUnlessSmall(request, reply)
    const detail = admin
      ? 'Pages of other origins may not administer this server'
      : 'Administration is not enabled here: it is by MULTIGATE_ADMIN=true'
    sendProblem(reply, { body: problemDetails('FORBIDDEN', detail, request.id), retryAfterSeconds: undefined })
  }
}

/** Whether a browser sends it for a page of another origin: without a key, nothing else would stop it. */
function isForeign({ headers: { origin, host } }: FastifyRequest): boolean {
  return origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host)
}
