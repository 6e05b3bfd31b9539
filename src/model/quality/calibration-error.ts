import { createUniform, standardNormal } from '../../base/hash.ts'
import { centralInterval } from './bootstrap.ts'
import { assignBins } from './calibration-bins.ts'
import { errorBins } from './judge.ts'
import { expectedWeights, labelChances } from './label-chances.ts'
import type { ScoredRows } from './scored-rows.ts'

/** Draws of the labels. */
const draws = 400
/** Most labels drawn one by one; of more rows the sums of bins are nearly normal. */
const mostDrawn = 20_000

/**
 * Where the measured calibration errors of perfectly calibrated predictions lie, 95 % of them: errors of labels drawn
 * from the predictions themselves, independently. A measured error inside shows no miscalibration. Undefined where the
 * labels of a sample can't be drawn.
 */
export function perfectCalibrationError(
  rows: Pick<ScoredRows, 'predictions' | 'weights' | 'kept'>,
  order: Uint32Array,
  seed: number,
): { low: number; high: number } | undefined {
  const chances = labelChances(rows)
  if (chances === undefined) return undefined
  const uniform = createUniform(seed)
  const assigned = assignBins(rows.predictions, expectedWeights(rows), order, errorBins)
  const variances = new Float64Array(errorBins)
  let total = 0
  for (const row of order) {
    variances[assigned[row]!]! += chances.variance(row)
    total += chances.weight(row)
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
      for (const row of order) residuals[assigned[row]!]! += chances.draw(row, uniform)
    }
    errors[draw] = residuals.reduce((sum, residual) => sum + Math.abs(residual), 0) / total
  }
  return centralInterval(errors) ?? { low: 0, high: 0 }
}
