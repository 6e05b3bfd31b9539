import { ModelError, type Problem } from '../errors.ts'

/** A request's problems are listed up to this many; the rest would only repeat them. */
export const maxProblems = 100

/** Gathers what is wrong with a request, to tell all of it at once. */
export class Problems {
  readonly list: Problem[] = []

  /** True once no more are listed. */
  get full(): boolean {
    return this.list.length >= maxProblems
  }

  add(path: string, message: string): void {
    if (!this.full) this.list.push({ path, message })
  }

  /** Throws INVALID_REQUEST if there is any problem. */
  throwIfAny(): void {
    if (this.list.length > 0) throw invalidRequest(this.list)
  }
}

export function invalidRequest(problems: Problem[]): ModelError {
  const [first] = problems
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
  const detail = first === undefined ? 'The request is invalid' : `${first.path || 'The body'} ${first.message}${more}`
  return new ModelError('INVALID_REQUEST', detail, { problems })
}

/** Does `work`; problems that it throws are told in other terms, one by one. */
export function inTerms<T>(inTermsOf: (problem: Problem) => Problem, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof ModelError && error.problems)) throw error
    throw invalidRequest(error.problems.map(inTermsOf))
  }
}
