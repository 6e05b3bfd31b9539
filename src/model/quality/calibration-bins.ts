import { z95 } from './normal.ts'
import type { Values } from './ranking.ts'

/** Rows of one bin of predictions. */
export interface CalibrationBin {
  rows: number
  positives: number
  weight: number
  /** Rows of equal weight that would tell as much: (Σ weight)² ÷ Σ weight² (Kish 1965). */
  effective: number
  /** Weighted mean prediction and positive rate. */
  predicted: number
  observed: number
}

/**
 * Divides rows into at most `bins` bins of equal weight, lowest predictions first; equal predictions share a bin.
 * Returns each row's bin (255 for rows that are not in `order`). Without weights the bins are those of scikit-learn's
 * `calibration_curve(strategy='quantile')`.
 */
export function assignBins(
  predictions: Values,
  weights: Values | undefined,
  order: Uint32Array,
  bins: number,
): Uint8Array {
  const assigned = new Uint8Array(predictions.length).fill(255)
  if (order.length === 0) return assigned
  const weightOf = (row: number) => (weights ? weights[row]! : 1)
  let total = 0
  for (const row of order) total += weightOf(row)
  const span = total - weightOf(order[order.length - 1]!)
  // The highest prediction of each bin but the last: rows up to a share k ÷ bins of the weight.
  const edges: number[] = []
  let before = 0
  let last = predictions[order[0]!]!
  for (const row of order) {
    while (edges.length < bins - 1 && before > (span * (edges.length + 1)) / bins) edges.push(last)
    last = predictions[row]!
    before += weightOf(row)
  }
  while (edges.length < bins - 1) edges.push(last)
  let bin = 0
  for (const row of order) {
    while (bin < edges.length && predictions[row]! > edges[bin]!) bin++
    assigned[row] = bin
  }
  return assigned
}

const none: CalibrationBin = { rows: 0, positives: 0, weight: 0, effective: 0, predicted: 0, observed: 0 }

/** Means of the bins that have rows. */
export function binsOf(
  labels: Values,
  predictions: Values,
  weights: Values | undefined,
  order: Uint32Array,
  assigned: Uint8Array,
): CalibrationBin[] {
  const found = new Map<number, CalibrationBin>()
  for (const row of order) {
    const bin = found.get(assigned[row]!) ?? { ...none }
    found.set(assigned[row]!, bin)
    const weight = weights ? weights[row]! : 1
    bin.rows++
    bin.weight += weight
    bin.effective += weight ** 2
    bin.predicted += weight * predictions[row]!
    if (!labels[row]) continue
    bin.positives++
    bin.observed += weight
  }
  return [...found.values()]
    .filter(({ weight }) => weight > 0)
    .map((bin) => ({
      ...bin,
      effective: bin.weight ** 2 / bin.effective,
      predicted: bin.predicted / bin.weight,
      observed: bin.observed / bin.weight,
    }))
}

/** Wilson's 95 % interval of a rate that was observed on `rows` rows. */
export function wilson(rate: number, rows: number): { low: number; high: number } {
  if (rows === 0) return { low: 0, high: 1 }
  const z = z95 ** 2 / rows
  const centre = (rate + z / 2) / (1 + z)
  const half = (z95 * Math.sqrt((rate * (1 - rate)) / rows + z95 ** 2 / (4 * rows ** 2))) / (1 + z)
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) }
}
