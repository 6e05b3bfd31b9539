import { ModelError, type ModelErrorCode } from '../model/base/errors.ts'
import type { ProblemCode, ProblemItem } from '../schemas/problem.ts'
import { toProblem } from '../server/errors/problem-details.ts'

/**
 * Why a model could not be loaded, or a request was not answered: what the HTTP interface says in problem details
 * (RFC 9457), as an Error. The `cause` is what was thrown inside.
 */
export class MultigateError extends Error {
  /** What went wrong, for programs; docs/errors.md explains each. */
  readonly code: ProblemCode | ModelErrorCode
  /** The HTTP status that a client would have got. */
  readonly status: number
  /** The kind of problem, for people. */
  readonly title: string
  /** INVALID_REQUEST: everything that is wrong, at most 100, each with a JSON pointer (RFC 6901) into the request. */
  readonly errors: ProblemItem[] | undefined
  /** DEADLINE_EXCEEDED: where the request was. */
  readonly stage: 'queue' | 'compute' | undefined
  /** QUEUE_FULL: when it is worth while to come again, s. */
  readonly retryAfterSeconds: number | undefined

  constructor(cause: unknown) {
    const { body, retryAfterSeconds } = toProblem(cause, '')
    // Who asks in the same process may know the inside.
    super(cause instanceof Error ? cause.message : body.detail, { cause })
    this.name = 'MultigateError'
    this.code = cause instanceof ModelError ? cause.code : body.code
    this.status = body.status
    this.title = body.title
    this.errors = body.errors
    this.stage = body.stage
    this.retryAfterSeconds = retryAfterSeconds
  }
}
