import type { KeptNegatives, ScoredRows } from './scored-rows.ts'

/*
 * The label that a row might have had. Where negatives were dropped from a sample, a row's weight belongs to its label:
 * a negative stands for 1 ÷ kept rows. Of a row in the sample, a label therefore has the probability
 * q = p ÷ (p + kept·(1 − p)), and the row weighs what that label weighs.
 */

/** Weights and residuals of rows whose predictions are their true probabilities. */
export interface LabelChances {
  /** Expected weight of a row. */
  weight(row: number): number
  /** Variance of its residual, weight · (p − y). */
  variance(row: number): number
  /** Its residual with a label that is drawn. */
  draw(row: number, uniform: () => number): number
}

type PredictedRows = Pick<ScoredRows, 'predictions' | 'weights' | 'kept'>

/** Undefined for a product of factors whose negatives were dropped and whose predictions are not known. */
export function labelChances({ predictions, weights, kept }: PredictedRows): LabelChances | undefined {
  if (kept === undefined) return plainChances(predictions, (row) => (weights ? weights[row]! : 1))
  const { own, shares, factors } = kept
  const ownOf = (row: number) => (own ? own[row]! : 1)
  if (shares.length === 1) return sampledChances(predictions, ownOf, shares[0]!)
  return factors && productChances(predictions, ownOf, shares, factors)
}

/**
 * The weights by which rows are put into bins: no label decides about a bin. Undefined where all are 1; those of the
 * labels where chances are not known.
 */
export function expectedWeights(rows: PredictedRows): ScoredRows['weights'] {
  const chances = rows.kept && labelChances(rows)
  return chances ? Float64Array.from(rows.predictions, (_, row) => chances.weight(row)) : rows.weights
}

function plainChances(predictions: ScoredRows['predictions'], weight: (row: number) => number): LabelChances {
  return {
    weight,
    variance: (row) => weight(row) ** 2 * predictions[row]! * (1 - predictions[row]!),
    draw: (row, uniform) => weight(row) * (predictions[row]! - (uniform() < predictions[row]! ? 1 : 0)),
  }
}

function sampledChances(
  predictions: ScoredRows['predictions'],
  own: (row: number) => number,
  kept: number,
): LabelChances {
  /** Share of such rows that are in the sample. */
  const included = (p: number) => p + kept * (1 - p)
  return {
    weight: (row) => own(row) / included(predictions[row]!),
    variance(row) {
      const p = predictions[row]!
      const q = p / included(p)
      return q * (1 - q) * (own(row) * (1 - p + p / kept)) ** 2
    },
    draw(row, uniform) {
      const p = predictions[row]!
      return own(row) * (uniform() < p / included(p) ? p - 1 : p / kept)
    },
  }
}

/** Factors' labels are taken to be independent. */
function productChances(
  predictions: ScoredRows['predictions'],
  own: (row: number) => number,
  shares: readonly number[],
  factors: NonNullable<KeptNegatives['factors']>,
): LabelChances {
  const states = 2 ** shares.length
  const all = states - 1
  /** Share of such rows that have these labels (bits of `state`) and are in the sample. */
  const chance = (row: number, state: number) =>
    shares.reduce((product, kept, i) => {
      const p = factors[i]![row]!
      return product * (state & (1 << i) ? p : kept * (1 - p))
    }, 1)
  const weight = (row: number, state: number) =>
    shares.reduce((product, kept, i) => (state & (1 << i) ? product : product / kept), own(row))
  const residual = (row: number, state: number) => weight(row, state) * (predictions[row]! - (state === all ? 1 : 0))
  /** Σ chance · value, of all labels. */
  const over = (row: number, value: (state: number) => number) => {
    let sum = 0
    for (let state = 0; state < states; state++) sum += chance(row, state) * value(state)
    return sum
  }
  const included = (row: number) => over(row, () => 1)
  return {
    weight: (row) => over(row, (state) => weight(row, state)) / included(row),
    variance(row) {
      const rows = included(row)
      const mean = over(row, (state) => residual(row, state)) / rows
      return over(row, (state) => (residual(row, state) - mean) ** 2) / rows
    },
    draw(row, uniform) {
      let left = uniform() * included(row)
      let state = 0
      while (state < all && left >= chance(row, state)) left -= chance(row, state++)
      return residual(row, state)
    },
  }
}
