import type { Distribution } from '../../schemas/manifest.ts'

/** Live counts over a distribution's bins, with decay. */
export interface Bins {
  add(value: number): void
  /** Population stability index against the reference; undefined while there are too few values. */
  psi(): number | undefined
  /** Copies what it has counted. */
  counted(): Counted
}

/** Recent values: all counts are halved from time to time, so that old values fade. */
export interface Counted {
  total: number
  /** By bin; they add up to `total`. */
  counts: number[]
}

/** Values after which all counts are halved. */
const halving = 20_000

/** With fewer values chance alone would look like drift: without drift the index is about bins ÷ values. */
const leastValues = 500

/** `distribution.shares` are those of the reference. */
export function createBins(distribution: Distribution): Bins {
  const { shares } = distribution
  const binOf = createBinOf(distribution)
  const counts = new Float64Array(shares.length)
  let total = 0
  return {
    add(value) {
      const bin = binOf(value)
      counts[bin] = counts[bin]! + 1
      total++
      if (total < halving) return
      total /= 2
      for (let i = 0; i < counts.length; i++) counts[i]! /= 2
    },
    psi: () => psiOf(shares, { total, counts }),
    counted: () => ({ total, counts: Array.from(counts) }),
  }
}

/** Population stability index of counts; undefined while there are too few. */
export function psiOf(
  shares: readonly number[],
  { total, counts }: { total: number; counts: ArrayLike<number> },
): number | undefined {
  return total < leastValues ? undefined : populationStability(shares, counts)
}

/** The sum of two counts over the same bins. */
export function addCounted(a: Counted, b: Counted): Counted {
  return { total: a.total + b.total, counts: a.counts.map((count, bin) => count + (b.counts[bin] ?? 0)) }
}

/** Finds the bin of an encoded value. */
export function createBinOf(distribution: Distribution): (value: number) => number {
  return 'ids' in distribution ? binOfId(distribution.ids) : binOfNumber(distribution.edges)
}

/**
 * Σ (live − reference) · ln(live ÷ reference) over bins. Shares are smoothed by half a value per bin, so that empty bins keep
 * the index finite. By convention 0.1 is a moderate change, 0.25 a major one.
 */
export function populationStability(reference: readonly number[], counts: ArrayLike<number>): number {
  const total = Array.from(counts).reduce((sum, count) => sum + count, 0)
  const smoothed = (share: number) => (share * total + 0.5) / (total + reference.length / 2)
  return reference.reduce((sum, share, bin) => {
    const expected = smoothed(share)
    const live = smoothed(counts[bin]! / total)
    return sum + (live - expected) * Math.log(live / expected)
  }, 0)
}

function binOfId(ids: readonly number[]): (id: number) => number {
  const bins = new Map(ids.map((id, bin) => [id, bin]))
  return (id) => bins.get(id) ?? ids.length
}

/** The first bin whose upper edge is not below the value. */
function binOfNumber(edges: readonly number[]): (value: number) => number {
  return (value) => {
    let low = 0
    let high = edges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (value <= edges[middle]!) high = middle
      else low = middle + 1
    }
    return low
  }
}
