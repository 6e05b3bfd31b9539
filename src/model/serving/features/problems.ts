import { ModelError, type Violation } from '../../../base/errors.ts'

/** Maximum problems listed per request. */
export const maxViolations = 100

/**
 * Collects the problems of a request, to report them together. The hundredth problem ends the search: `add` throws
 * all of them, unless wrong rows are left out (`leaveOut`).
 */
export class Violations {
  readonly list: Violation[]
  #leavesOut = false

  /** `found`: problems found earlier; fewer than `maxViolations`. */
  constructor(found: readonly Violation[] = []) {
    this.list = [...found]
  }

  /** Whether no more problems are listed. */
  get full(): boolean {
    return this.list.length >= maxViolations
  }

  /** An expensive message is given as a function, which is called only if the problem is listed. */
  add(path: string, message: string | (() => string)): void {
    if (this.full) return
    this.list.push({ path, message: typeof message === 'string' ? message : message() })
    if (this.full && !this.#leavesOut) this.throwIfAny()
  }

  /**
   * From now on problems belong to rows that are left out, and are not thrown. Returns false if there are problems
   * already: then the request is rejected instead.
   */
  leaveOut(): boolean {
    this.#leavesOut = this.list.length === 0
    return this.#leavesOut
  }

  /** Throws INVALID_REQUEST if there is a problem. */
  throwIfAny(): void {
    if (this.list.length > 0) throw invalidRequest(this.list)
  }

  /** The same if there are more than `before` problems. */
  throwIfMore(before: number): void {
    if (this.list.length > before) this.throwIfAny()
  }
}

export function invalidRequest(problems: Violation[]): ModelError {
  return new ModelError('INVALID_REQUEST', describeProblems(problems, 1), { problems })
}

/** The first problems in a sentence, and how many more there are. */
export function describeProblems(problems: readonly Violation[], shown: number): string {
  if (problems.length === 0) return 'The request is invalid'
  const first = problems.slice(0, shown).map(({ path, message }) => `${path || 'The body'} ${message}`)
  const more = problems.length > shown ? ` (and ${problems.length - shown} more)` : ''
  return first.join('; ') + more
}

/** Runs `work`, and translates the paths of the problems that it throws. */
export function inTerms<T>(inTermsOf: (problem: Violation) => Violation, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw translated(error, inTermsOf)
  }
}

/** The error with the paths of its problems translated. */
export function translated(error: unknown, inTermsOf: (problem: Violation) => Violation): unknown {
  return error instanceof ModelError && error.problems ? invalidRequest(error.problems.map(inTermsOf)) : error
}
