/** The quantile `q` by nearest rank; NaN without values. */
export function quantile(values: ArrayLike<number>, q: number): number {
  return ofSorted(Float64Array.from(values).sort(), q)
}

export interface Quantiles {
  p50: number
  p99: number
  p999: number
  max: number
}

export function quantiles(values: ArrayLike<number>): Quantiles {
  const sorted = Float64Array.from(values).sort()
  return {
    p50: ofSorted(sorted, 0.5),
    p99: ofSorted(sorted, 0.99),
    p999: ofSorted(sorted, 0.999),
    max: ofSorted(sorted, 1),
  }
}

function ofSorted(sorted: Float64Array, q: number): number {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN
}
