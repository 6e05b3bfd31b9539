import type { Estimate, Metrics } from '../../schemas/comparison.ts'
import { centralInterval, type Resampling, resample } from './bootstrap.ts'
import { assignBins } from './calibration-bins.ts'
import { expectedWeights, labelChances } from './label-chances.ts'
import { entropyOf, lossOf } from './metrics.ts'
import { meanAbsolute, z95 } from './normal.ts'
import { type AucComponents, aucComponents, aucVariance } from './ranking.ts'
import type { ScoredRows } from './scored-rows.ts'

/** Bins of the calibration error. */
export const errorBins = 10

/** Metrics of predictions, and what paired comparisons need of them. */
export interface Judgement {
  metrics: Metrics
  /** Expected calibration error before debiasing. */
  eceMeasured: number | null
  auc: AucComponents | undefined
  /** Per replicate of the bootstrap. */
  replicates: Record<Exclude<keyof Metrics, 'auc'>, Float64Array>
}

/** Statistics per bucket: weight, positive weight, loss, prediction; then the residual of each bin. */
const sumsBeforeBins = 4
const width = sumsBeforeBins + errorBins

/**
 * Judges the rows in `order` (lowest prediction first, from `rank`). AUC has DeLong's interval, clustered where there
 * are groups; the other metrics have percentiles of the bootstrap. The calibration error is debiased: the mean error
 * that chance adds is subtracted (Kumar et al., Verified Uncertainty Calibration, 2019), and its interval is moved
 * likewise. Chance adds most where bins are calibrated; Kumar's estimate takes all that is measured for real and then
 * subtracts less than half of it, so the bins' residuals are shrunk first (James and Stein 1961).
 */
export function judge(rows: ScoredRows, order: Uint32Array, resampling: Resampling): Judgement {
  const { labels, predictions, weights, groups } = rows
  const { sums, variances, expected } = sumBuckets(rows, order, resampling.buckets)
  const total = new Float64Array(width)
  for (let i = 0; i < sums.length; i++) total[i % width]! += sums[i]!
  // Errors are per expected weight: that of a sample's rows depends on their labels.
  const divisor = rows.kept ? total[0]! / expected : 1
  const draws = resample(resampling, sums, width)
  const each = (metric: (sums: Float64Array, at: number) => number) =>
    Float64Array.from({ length: resampling.replicates }, (_, replicate) => metric(draws, replicate * width))
  const replicates = {
    logloss: each(loglossOf),
    normalised_entropy: each(normalisedEntropyOf),
    calibration_ratio: each(calibrationRatioOf),
    ece: each((sums, at) => calibrationErrorOf(sums, at) * divisor),
  }
  const measured = calibrationErrorOf(total, 0) * divisor
  const drawn = binDeviations(draws, total, resampling.replicates)
  // Replicates do not show how bins without positives might deviate; their predictions do.
  const deviations = drawn.map((deviation, bin) => Math.max(deviation, Math.sqrt(variances[bin]!)))
  const bias = chanceError(total, deviations, trueShare(total, deviations)) * divisor
  // A replicate has the chance of the rows and that of its own draw, whose bins deviate as the measured ones do.
  const drawBias = chanceError(total, drawn, 1) * divisor
  replicates.ece = replicates.ece.map((error) => Math.max(0, error - drawBias - bias))
  const auc = aucComponents(labels, predictions, weights, order)
  const estimate = (value: number, drawn: Float64Array): Estimate =>
    Number.isFinite(value) ? { value, ...(centralInterval(drawn) ?? { low: null, high: null }) } : undefinedEstimate
  return {
    metrics: {
      auc: auc ? aucEstimate(auc, { labels, weights, order, groups }) : undefinedEstimate,
      logloss: estimate(loglossOf(total, 0), replicates.logloss),
      normalised_entropy: estimate(normalisedEntropyOf(total, 0), replicates.normalised_entropy),
      calibration_ratio: estimate(calibrationRatioOf(total, 0), replicates.calibration_ratio),
      ece: estimate(Math.max(0, measured - bias), replicates.ece),
    },
    eceMeasured: Number.isFinite(measured) ? measured : null,
    auc,
    replicates,
  }
}

export const undefinedEstimate: Estimate = { value: null, low: null, high: null }

/**
 * Sums of each bucket; if the predictions are calibrated, each bin's variance of the residual, and the expected weight.
 */
function sumBuckets(rows: ScoredRows, order: Uint32Array, count: number) {
  const { labels, predictions, weights, buckets } = rows
  const chances = labelChances(rows)
  const bins = assignBins(predictions, expectedWeights(rows), order, errorBins)
  const sums = new Float64Array(count * width)
  const variances = new Float64Array(errorBins)
  let expected = 0
  for (const row of order) {
    const weight = weights ? weights[row]! : 1
    const prediction = predictions[row]!
    const positive = labels[row] ? weight : 0
    const at = (buckets[row]! % count) * width
    sums[at]! += weight
    sums[at + 1]! += positive
    sums[at + 2]! += weight * lossOf(labels[row]!, prediction)
    sums[at + 3]! += weight * prediction
    expected += chances ? chances.weight(row) : weight
    sums[at + sumsBeforeBins + bins[row]!]! += weight * prediction - positive
    variances[bins[row]!]! += chances ? chances.variance(row) : weight ** 2 * prediction * (1 - prediction)
  }
  return { sums, variances, expected }
}

function loglossOf(sums: Float64Array, at: number): number {
  return sums[at + 2]! / sums[at]!
}

function normalisedEntropyOf(sums: Float64Array, at: number): number {
  return loglossOf(sums, at) / entropyOf(sums[at + 1]! / sums[at]!)
}

function calibrationRatioOf(sums: Float64Array, at: number): number {
  return sums[at + 3]! / sums[at + 1]!
}

function calibrationErrorOf(sums: Float64Array, at: number): number {
  let error = 0
  for (let bin = 0; bin < errorBins; bin++) error += Math.abs(sums[at + sumsBeforeBins + bin]!)
  return error / sums[at]!
}

/** Standard deviation of each bin's residual. */
function binDeviations(draws: Float64Array, total: Float64Array, replicates: number): Float64Array {
  return Float64Array.from({ length: errorBins }, (_, bin) => {
    const at = sumsBeforeBins + bin
    let squares = 0
    for (let replicate = 0; replicate < replicates; replicate++)
      squares += (draws[replicate * width + at]! - total[at]!) ** 2
    return Math.sqrt(squares / replicates)
  })
}

/** Error that chance adds to the calibration error of rows whose bins truly deviate by `share` of what is measured. */
function chanceError(total: Float64Array, deviations: Float64Array, share: number): number {
  let error = 0
  deviations.forEach((deviation, bin) => {
    const residual = share * total[sumsBeforeBins + bin]!
    error += meanAbsolute(residual, deviation) - Math.abs(residual)
  })
  return error / total[0]!
}

/** The share of the bins' residuals that is no chance: James and Stein's estimate, at least 0. */
function trueShare(total: Float64Array, deviations: Float64Array): number {
  let [bins, squares] = [0, 0]
  deviations.forEach((deviation, bin) => {
    if (deviation === 0) return
    bins++
    squares += (total[sumsBeforeBins + bin]! / deviation) ** 2
  })
  return squares === 0 ? 0 : Math.max(0, 1 - bins / squares)
}

/** Rows of weight, or groups with such rows, of the class that has fewer of them. */
function rarerOf({
  labels,
  weights,
  order,
  groups,
}: Omit<ScoredRows, 'predictions' | 'buckets'> & { order: Uint32Array }): number {
  const classes = [new Set<number>(), new Set<number>()] as const
  for (const row of order) if (weights?.[row] !== 0) classes[labels[row] ? 1 : 0].add(groups ? groups.of[row]! : row)
  return Math.min(classes[0].size, classes[1].size)
}

function aucEstimate(
  { auc, components, positive, negative }: AucComponents,
  rows: Pick<ScoredRows, 'labels' | 'weights' | 'groups'> & { order: Uint32Array },
): Estimate {
  const deviation = Math.sqrt(aucVariance({ ...rows, positive, negative }, (row) => components[row]! - auc))
  if (Number.isNaN(deviation)) return { value: auc, low: null, high: null }
  // Where all pairs are in order, no variance is seen: the limit is that of the rarer class, each of which might not
  // have been.
  if (auc === 1) return { value: 1, low: 0.025 ** (1 / rarerOf(rows)), high: 1 }
  return {
    value: auc,
    low: Math.max(0, auc - z95 * deviation),
    high: Math.min(1, auc + z95 * deviation),
  }
}
