import type { DerivedTask } from '../../schemas/manifest.ts'
import { createCalibrator } from './calibrator.ts'

/** Computes a derived task's probabilities, one per row, from those of its factors, which are calibrated. */
export type DerivedCalculator = (factors: readonly ArrayLike<number>[], rows: number) => Float64Array

/**
 * The product of the factors, calibrated if the task has a calibration. A calibrated product is at most its smallest factor, as
 * the probability of several events together is.
 */
export function createDerivedCalculator({ calibration }: Pick<DerivedTask, 'calibration'>): DerivedCalculator {
  if (calibration === undefined) return multiply
  const calibrate = createCalibrator(calibration)
  return (factors, rows) => {
    const values = multiply(factors, rows)
    for (let row = 0; row < rows; row++) {
      let value = calibrate(values[row]!)
      for (const factor of factors) if (value > factor[row]!) value = factor[row]!
      values[row] = value
    }
    return values
  }
}

/** Elementwise product of columns of `rows` values. */
export function multiply(factors: readonly ArrayLike<number>[], rows: number): Float64Array {
  const product = new Float64Array(rows).fill(1)
  for (const factor of factors) for (let row = 0; row < rows; row++) product[row]! *= factor[row]!
  return product
}
