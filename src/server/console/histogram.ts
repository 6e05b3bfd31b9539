/* Counts by bucket. Loops, since they run once a second: too seldom to be compiled. */

/**
 * A quantile of a histogram: linear within its bucket, as Prometheus' `histogram_quantile`; the largest bound where it
 * lies beyond. `counts`: by bucket, that beyond the largest bound last.
 */
export function quantile(
  bounds: readonly number[],
  counts: readonly number[],
  share: number,
  total = sum(counts),
): number {
  let left = share * total
  for (let i = 0; i < bounds.length; i++) {
    const count = counts[i] ?? 0
    if (left <= count && count > 0) {
      const lower = i === 0 ? 0 : bounds[i - 1]!
      return lower + (bounds[i]! - lower) * (left / count)
    }
    left -= count
  }
  return bounds.at(-1)!
}

/** The counts of the interval between. */
export function difference(now: readonly number[], before: readonly number[]): number[] {
  const counts = now.slice()
  for (let i = 0; i < before.length; i++) counts[i]! -= before[i]!
  return counts
}

export function addTo(into: number[], counts: readonly number[]): void {
  for (let i = 0; i < counts.length; i++) into[i]! += counts[i]!
}

export function sum(values: readonly number[]): number {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i]!
  return total
}
