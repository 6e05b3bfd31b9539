import type { FastifyRequest } from 'fastify'
import type { ProblemDetails } from '../../schemas/problem.ts'
import type { RequestRecord } from '../../schemas/requests.ts'

/** What a request is decorated with, once it has been answered with a problem. */
const sentProblem: unique symbol = Symbol('multigate.problem')

declare module 'fastify' {
  interface FastifyRequest {
    [sentProblem]?: ProblemDetails | undefined
  }
}

/** Places of an invalid request that are kept. */
const mostPaths = 3

/** Notes how a request was answered. */
export function noteProblem(request: FastifyRequest, problem: ProblemDetails): void {
  request[sentProblem] = problem
}

/**
 * The problem that a request was answered with, as far as it can quote no value of a field: nothing where there was none.
 * `known` writes a place without names that the client made up.
 */
export function problemOf(
  request: FastifyRequest,
  known: (path: string) => string,
): Pick<RequestRecord, 'code' | 'detail' | 'paths'> {
  const problem = request[sentProblem]
  if (problem === undefined) return {}
  const { code, detail, errors = [] } = problem
  if (code !== 'INVALID_REQUEST') return { code, detail }
  const places = errors.map(({ path }) => path).filter((path) => path !== '')
  const paths = [...new Set(places.map(known))].slice(0, mostPaths)
  return { code, ...(paths.length > 0 && { paths }) }
}
