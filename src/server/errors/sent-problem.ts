import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Violation } from '../../base/errors.ts'
import type { ProblemDetails } from '../../schemas/problem.ts'
import type { RequestRecord } from '../../schemas/requests.ts'

/** The property of a request that holds the problem with which it has been answered. */
const sentProblem: unique symbol = Symbol('multigate.problem')

declare module 'fastify' {
  interface FastifyRequest {
    [sentProblem]?: ProblemDetails | undefined
  }
}

/** Problems of an invalid request that are kept. */
const mostProblems = 3

/** Notes how a request was answered. */
export function noteProblem(request: FastifyRequest, problem: ProblemDetails): void {
  request[sentProblem] = problem
}

/**
 * The problem that a request was answered with, as far as it can quote no value of a field: nothing where there was
 * none. `known` writes one of an invalid request without what the client made up.
 */
export function sentProblemOf(
  request: FastifyRequest,
  known: (problem: Violation) => Violation,
): Pick<RequestRecord, 'code' | 'detail' | 'errors'> {
  const problem = request[sentProblem]
  if (problem === undefined) return {}
  const { code, detail, errors = [] } = problem
  if (code !== 'INVALID_REQUEST') return { code, detail }
  const different = new Map(errors.map(known).map((one) => [`${one.path} ${one.message}`, one]))
  const kept = [...different.values()].slice(0, mostProblems)
  return { code, ...(kept.length > 0 && { errors: kept }) }
}

/** Bytes of a body that is read and thrown away, so that the connection can be used again. */
const smallBody = 64 * 1024

/** Has the connection of a refused request closed, unless its body is small: a large one is not read. */
export function closeUnlessSmall({ headers }: FastifyRequest, reply: FastifyReply): void {
  const isChunked = headers['transfer-encoding'] !== undefined
  if (isChunked || Number(headers['content-length'] ?? 0) > smallBody) reply.header('connection', 'close')
}
