import { createUniform, standardNormal } from '../../base/hash.ts'
import { centralInterval } from './bootstrap.ts'
import { assignBins } from './calibration-bins.ts'
import { errorBins } from './judge.ts'
import { expectedWeights, type LabelChances, labelChances } from './label-chances.ts'
import type { Groups } from './ranking.ts'
import type { ScoredRows } from './scored-rows.ts'

/** Draws of the labels. */
const draws = 400
/** Most labels drawn one by one; of more rows the sums of bins are nearly normal. */
const mostDrawn = 20_000

type PredictedRows = Pick<ScoredRows, 'labels' | 'predictions' | 'weights' | 'kept' | 'groups'>

/**
 * Where the measured calibration errors of perfectly calibrated predictions lie, 95 % of them. A measured error inside
 * shows no miscalibration. Labels are drawn from the predictions, independently; where rows have groups, whose labels
 * are alike, bins deviate as much as their groups do. Undefined where the labels of a sample can't be drawn.
 */
export function perfectCalibrationError(
  rows: PredictedRows,
  order: Uint32Array,
  seed: number,
): { low: number; high: number } | undefined {
  const chances = labelChances(rows)
  if (chances === undefined) return undefined
  const uniform = createUniform(seed)
  const assigned = assignBins(rows.predictions, expectedWeights(rows), order, errorBins)
  let total = 0
  for (const row of order) total += chances.weight(row)
  const draw = rows.groups
    ? deviationsOfGroups(rows, rows.groups, order, assigned, uniform)
    : deviationsOfRows(chances, order, assigned, uniform)
  const errors = Float64Array.from({ length: draws }, () => draw().reduce((sum, x) => sum + Math.abs(x), 0) / total)
  return centralInterval(errors) ?? { low: 0, high: 0 }
}

/** Draws the sums of bins' residuals, of rows whose labels are independent. */
function deviationsOfRows(
  chances: LabelChances,
  order: Uint32Array,
  assigned: Uint8Array,
  uniform: () => number,
): () => Float64Array {
  const residuals = new Float64Array(errorBins)
  if (order.length <= mostDrawn)
    return () => {
      residuals.fill(0)
      for (const row of order) residuals[assigned[row]!]! += chances.draw(row, uniform)
      return residuals
    }
  const variances = new Float64Array(errorBins)
  for (const row of order) variances[assigned[row]!]! += chances.variance(row)
  return () => variances.map((variance) => Math.sqrt(variance) * standardNormal(uniform))
}

/**
 * The same where rows have groups: a wild bootstrap (C. F. J. Wu, Annals of Statistics 1986), in which each group's
 * residuals, less the mean of their bins, have a sign of their own.
 */
function deviationsOfGroups(
  { labels, predictions, weights }: PredictedRows,
  { of, count }: Groups,
  order: Uint32Array,
  assigned: Uint8Array,
  uniform: () => number,
): () => Float64Array {
  const weightOf = (row: number) => (weights ? weights[row]! : 1)
  const sums = new Float64Array(errorBins)
  const totals = new Float64Array(errorBins)
  for (const row of order) {
    sums[assigned[row]!]! += weightOf(row) * (predictions[row]! - labels[row]!)
    totals[assigned[row]!]! += weightOf(row)
  }
  const residuals = new Float64Array(count * errorBins)
  const shares = new Float64Array(count * errorBins)
  for (const row of order) {
    const bin = assigned[row]!
    const at = of[row]! * errorBins + bin
    residuals[at]! += weightOf(row) * (predictions[row]! - labels[row]! - sums[bin]! / totals[bin]!)
    shares[at]! += weightOf(row) / totals[bin]!
  }
  // A large group pulls its bin's mean towards itself.
  shares.forEach((share, at) => {
    if (share < 1) residuals[at]! /= 1 - share
  })
  const deviations = new Float64Array(errorBins)
  return () => {
    deviations.fill(0)
    for (let at = 0; at < residuals.length; at += errorBins) {
      const sign = uniform() < 0.5 ? -1 : 1
      for (let bin = 0; bin < errorBins; bin++) deviations[bin]! += sign * residuals[at + bin]!
    }
    return deviations
  }
}
