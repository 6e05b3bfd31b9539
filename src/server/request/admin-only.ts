import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'

/** A hook that refuses requests where administration is not enabled. */
export function adminOnly({ admin }: { admin: boolean }) {
  return (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    if (admin) {
      done()
      return
    }
    const detail = 'Administration is not enabled here: it is by MULTIGATE_ADMIN=true'
    sendProblem(reply, { body: problemDetails('FORBIDDEN', detail, request.id), retryAfterSeconds: undefined })
  }
}
