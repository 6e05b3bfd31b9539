import { logit } from '../../model/quality/metrics.ts'
import { best, overlap } from '../evaluate/overlap.ts'

/*
 * How the answers of two versions differ, request by request, in bounded memory.
 */

/** Most differences that quantiles are taken of: a sample of all, drawn evenly. */
const mostKept = 100_000
/** Most values of a field that are kept apart; others share one. */
const mostValues = 1000
/** Differences of probabilities that rounding may make. */
export const rounding = 1e-6

/** Quantiles of a stream of numbers, from a sample of it (Vitter's algorithm R). */
export class Sample {
  readonly #values: number[] = []
  readonly #random: () => number
  readonly #kept: number
  #seen = 0

  /** `random`: uniform in [0, 1); `kept`: size of the sample. */
  constructor(random: () => number, kept = mostKept) {
    this.#random = random
    this.#kept = kept
  }

  add(value: number): void {
    this.#seen++
    if (this.#values.length < this.#kept) this.#values.push(value)
    else {
      const place = Math.floor(this.#random() * this.#seen)
      if (place < this.#kept) this.#values[place] = value
    }
  }

  /** NaN where there are none. */
  quantiles(shares: readonly number[]): number[] {
    const sorted = Float64Array.from(this.#values).sort()
    return shares.map((share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN)
  }

  get values(): readonly number[] {
    return this.#values
  }
}

/** Mean and variance of a stream of numbers (Welford). */
export class Moments {
  count = 0
  mean = 0
  #squares = 0

  add(value: number): void {
    this.count++
    const before = value - this.mean
    this.mean += before / this.count
    this.#squares += before * (value - this.mean)
  }

  get sum(): number {
    return this.#squares
  }
}

/** The differences of one task by the values of a field. */
export class ByValue {
  readonly #values = new Map<string, Moments>()
  readonly others = new Moments()

  add(value: string, difference: number): void {
    let moments = this.#values.get(value)
    if (moments === undefined && this.#values.size < mostValues) {
      moments = new Moments()
      this.#values.set(value, moments)
    }
    ;(moments ?? this.others).add(difference)
  }

  /**
   * The share of the variance of the differences that the values explain (η²), corrected for how many values there are
   * (ω²): about 0 where the field has nothing to do with it, 1 where it alone decides.
   */
  explained({ count, mean, sum }: Moments): number {
    const groups = [...this.#values.values(), ...(this.others.count > 0 ? [this.others] : [])]
    if (count <= groups.length || sum === 0) return 0
    const between = groups.reduce((total, group) => total + group.count * (group.mean - mean) ** 2, 0)
    const within = (sum - between) / (count - groups.length)
    return Math.max(0, (between - (groups.length - 1) * within) / (sum + within))
  }

  /** The values that move the differences most: by their rows, and their distance from the mean of all. */
  list(most: number, { mean }: Moments): { value: string; moments: Moments }[] {
    const weight = (of: Moments) => of.count * (of.mean - mean) ** 2
    return [...this.#values]
      .map(([value, moments]) => ({ value, moments }))
      .sort((a, b) => weight(b.moments) - weight(a.moments) || b.moments.count - a.moments.count)
      .slice(0, most)
  }
}

/** How the answers of two versions to one task differ. */
export class Differences {
  /** Differences of the probability, and of its logit. */
  readonly probability: Sample
  readonly logit: Sample
  readonly moments = new Moments()
  /** Largest difference of a probability, either way. */
  largest = 0
  /** Candidates that were compared, and those whose probability is the same within 1e-6. */
  rows = 0
  same = 0
  /** Per request of several candidates: Kendall's τ, and the share of the best ones that stay. */
  readonly correlation = new Moments()
  readonly overlap = new Moments()
  /** Requests of several candidates, and those whose best candidate is another one. */
  requests = 0
  winners = 0

  constructor(random: () => number, kept?: number) {
    this.probability = new Sample(random, kept)
    this.logit = new Sample(random, kept)
  }

  /** Returns the difference of the logits; undefined where there is none, as an answer is missing, or 0 or 1. */
  addRow(before: number, after: number): number | undefined {
    const difference = after - before
    if (Number.isNaN(difference)) return undefined
    const size = Math.abs(difference)
    this.rows++
    if (size <= rounding) this.same++
    if (size > this.largest) this.largest = size
    this.probability.add(difference)
    const shift = logit(after) - logit(before)
    if (!Number.isFinite(shift)) return undefined
    this.logit.add(shift)
    this.moments.add(shift)
    return shift
  }

  /**
   * Compares the order of a request's candidates. Returns the places of the old and of the new winner, where they
   * differ by more than rounding.
   */
  addRanking(before: Float64Array, after: Float64Array): [old: number, now: number] | undefined {
    if (before.length < 2 || before.some(Number.isNaN) || after.some(Number.isNaN)) return undefined
    this.requests++
    const correlation = kendall(before, after)
    if (correlation !== undefined) this.correlation.add(correlation)
    const places = Uint32Array.from(before.keys())
    this.overlap.add(overlap(places, before, after))
    const [[old], [now]] = [best(places, before, 1), best(places, after, 1)] as [[number], [number]]
    if (old === now || before[old]! - before[now]! <= rounding || after[now]! - after[old]! <= rounding)
      return undefined
    this.winners++
    return [old, now]
  }
}

/** Kendall's τ-b of two scores of the same candidates; undefined where all of one are equal. O(n²). */
export function kendall(a: ArrayLike<number>, b: ArrayLike<number>): number | undefined {
  let [concordant, tiesA, tiesB, pairs] = [0, 0, 0, 0]
  for (let i = 0; i < a.length; i++)
    for (let j = 0; j < i; j++) {
      const [x, y] = [Math.sign(a[i]! - a[j]!), Math.sign(b[i]! - b[j]!)]
      pairs++
      if (x === 0) tiesA++
      if (y === 0) tiesB++
      concordant += x * y
    }
  const scale = Math.sqrt((pairs - tiesA) * (pairs - tiesB))
  return scale === 0 ? undefined : concordant / scale
}
