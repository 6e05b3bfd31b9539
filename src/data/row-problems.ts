import type { Violation } from '../model/base/errors.ts'

/** Problems listed in all, and per place. */
const mostListed = 20
const mostPerPlace = 5
/** Problems after which no further rows are read. */
const mostFound = 10_000

/** Problems of rows, bounded per place in the spec, so that one bad column does not hide another. */
export class RowProblems {
  readonly #listed: Violation[] = []
  readonly #counts = new Map<string, number>()
  #found = 0

  add(path: string, message: string): void {
    const count = (this.#counts.get(path) ?? 0) + 1
    this.#counts.set(path, count)
    this.#found++
    if (count <= mostPerPlace && this.#listed.length < mostListed) this.#listed.push({ path, message })
  }

  /** Whether further rows would add nothing. */
  get full(): boolean {
    return this.#listed.length >= mostListed || this.#found >= mostFound
  }

  /** The listed problems, then the number of others per place. */
  list(): Violation[] {
    const more = [...this.#counts].flatMap(([path, count]) => {
      const rest = count - this.#listed.filter((problem) => problem.path === path).length
      return rest > 0 ? [{ path, message: `and ${rest} more` }] : []
    })
    return [...this.#listed, ...more]
  }
}
