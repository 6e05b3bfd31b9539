import { createUniform, standardNormal } from '../../base/hash.ts'
import { centralInterval } from './bootstrap.ts'
import { assignBins } from './calibration-bins.ts'
import { errorBins } from './judge.ts'
import type { Values } from './ranking.ts'

/** Draws of the labels. */
const draws = 400
/** Most labels drawn one by one; of more rows the sums of bins are nearly normal. */
const mostDrawn = 20_000

/**
 * Where the measured calibration errors of perfectly calibrated predictions lie, 95 % of them: errors of labels drawn
 * from the predictions themselves, independently. A measured error inside shows no miscalibration.
 */
export function perfectCalibrationError(
  predictions: Values,
  weights: Values | undefined,
  order: Uint32Array,
  seed: number,
): { low: number; high: number } {
  const uniform = createUniform(seed)
  const assigned = assignBins(predictions, weights, order, errorBins)
  const weightOf = (row: number) => (weights ? weights[row]! : 1)
  const variances = new Float64Array(errorBins)
  let total = 0
  for (const row of order) {
    const p = predictions[row]!
    variances[assigned[row]!]! += weightOf(row) ** 2 * p * (1 - p)
    total += weightOf(row)
  }
  const errors = new Float64Array(draws)
  const residuals = new Float64Array(errorBins)
  for (let draw = 0; draw < draws; draw++) {
    if (order.length > mostDrawn)
      variances.forEach((variance, bin) => {
        residuals[bin] = Math.sqrt(variance) * standardNormal(uniform)
      })
    else {
      residuals.fill(0)
      for (const row of order) {
        const p = predictions[row]!
        residuals[assigned[row]!]! += weightOf(row) * (p - (uniform() < p ? 1 : 0))
      }
    }
    errors[draw] = residuals.reduce((sum, residual) => sum + Math.abs(residual), 0) / total
  }
  return centralInterval(errors) ?? { low: 0, high: 0 }
}
