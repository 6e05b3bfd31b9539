import type { Calibration, DerivedTask } from '../../../schemas/manifest.ts'

/** Maps a raw probability in [0, 1] to a calibrated one in [0, 1]; monotone. */
export type Calibrator = (probability: number) => number

/** Without a calibration, raw probabilities are unchanged. */
export function createCalibrator(calibration: Calibration | undefined): Calibrator {
  if (calibration === undefined) return (probability) => probability
  switch (calibration.method) {
    case 'platt': {
      // Platt, Probabilistic Outputs for Support Vector Machines, 1999; on the logit instead of a margin.
      const { a, b } = calibration
      return (probability) => sigmoid(a * logit(probability) + b)
    }
    case 'isotonic':
      return interpolator(calibration.x, calibration.y)
    case 'negative_sampling': {
      // He et al., Practical Lessons from Predicting Clicks on Ads at Facebook, 2014, section 6.3.
      const { kept } = calibration
      return (probability) => probability / (probability + (1 - probability) / kept)
    }
  }
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x))
}

/** Finite even at 0 and 1, which float32 probabilities can reach. */
export function logit(probability: number): number {
  const inside = Math.min(Math.max(probability, 1e-12), 1 - 1e-12)
  return Math.log(inside / (1 - inside))
}

/** Linear between the points, constant outside; `x` ascends. */
function interpolator(x: readonly number[], y: readonly number[]): Calibrator {
  const last = x.length - 1
  return (probability) => {
    if (probability <= x[0]!) return y[0]!
    if (probability >= x[last]!) return y[last]!
    let low = 0
    let high = last
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (x[middle]! <= probability) low = middle
      else high = middle
    }
    const share = (probability - x[low]!) / (x[high]! - x[low]!)
    return y[low]! + share * (y[high]! - y[low]!)
  }
}

/** Computes a derived task's probabilities, one per row, from those of its factors, which are calibrated. */
export type DerivedCalculator = (factors: readonly ArrayLike<number>[], rows: number) => Float64Array

/**
 * The product of the factors, calibrated if the task has a calibration. A calibrated product is at most its smallest
 * factor, as the probability of several events together is.
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
