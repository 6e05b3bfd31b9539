import { ModelError, type Violation } from '../base/errors.ts'

/** A request's problems are listed up to this many; the rest would only repeat them. */
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

  /** True once no more are listed. */
  get full(): boolean {
    return this.list.length >= maxViolations
  }

  /** A message that costs work is given as a function: it is called only for a problem that is listed. */
  add(path: string, message: string | (() => string)): void {
    if (this.full) return
    this.list.push({ path, message: typeof message === 'string' ? message : message() })
    if (this.full && !this.#leavesOut) this.throwIfAny()
  }

  /**
   * From now on problems are those of rows that are left out, and none of them is thrown. False where something else is wrong
   * already: then the request is refused, and nothing is left out.
   */
  leaveOut(): boolean {
    this.#leavesOut = this.list.length === 0
    return this.#leavesOut
  }

  /** Throws INVALID_REQUEST if there is any problem. */
  throwIfAny(): void {
    if (this.list.length > 0) throw invalidRequest(this.list)
  }

  /** The same if `add` was called since there were `before` problems. */
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

/** Does `work`; the places of problems that it throws are translated, one by one. */
export function inTerms<T>(inTermsOf: (problem: Violation) => Violation, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw translated(error, inTermsOf)
  }
}

/** The error, the places of its problems translated if it has any. */
export function translated(error: unknown, inTermsOf: (problem: Violation) => Violation): unknown {
  return error instanceof ModelError && error.problems ? invalidRequest(error.problems.map(inTermsOf)) : error
}
