/*
 * Metrics of binary predictions. `labels` are 0 or 1, `predictions` probabilities in [0, 1], both of one length.
 * Where a metric isn't defined (no rows, one class only, a ranking of predictions that aren't numbers) it is null.
 */

/** What metrics read: plain and typed arrays alike. */
export type Values = ArrayLike<number>

/** Probabilities are kept this far from 0 and 1 where their logarithm is taken, as scikit-learn does with float64. */
const tiny = 2 ** -52

/**
 * Area under the ROC curve: the probability that a positive row scores higher than a negative one, ties counting half.
 * Computed from mid-ranks (Mann-Whitney U), O(n log n).
 */
export function auc(labels: Values, predictions: Values): number | null {
  for (let i = 0; i < predictions.length; i++) if (Number.isNaN(predictions[i])) return null
  const order = rank(predictions)
  let positives = 0
  let rankSum = 0
  for (let start = 0; start < order.length; ) {
    const value = predictions[order[start]!]
    let end = start
    let tiedPositives = 0
    while (end < order.length && predictions[order[end]!] === value) tiedPositives += labels[order[end++]!]!
    // Ranks start + 1 … end share their mean.
    rankSum += tiedPositives * ((start + 1 + end) / 2)
    positives += tiedPositives
    start = end
  }
  const negatives = order.length - positives
  if (positives === 0 || negatives === 0) return null
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives)
}

/** Mean binary cross-entropy, nats. */
export function logloss(labels: Values, predictions: Values): number | null {
  if (labels.length === 0) return null
  let sum = 0
  for (let i = 0; i < labels.length; i++) {
    const p = Math.min(1 - tiny, Math.max(tiny, predictions[i]!))
    sum -= labels[i] ? Math.log(p) : Math.log1p(-p)
  }
  return sum / labels.length
}

/** Logloss ÷ entropy of the base rate; below 1 it beats the best constant (He et al., ADKDD 2014). */
export function normalisedEntropy(labels: Values, predictions: Values): number | null {
  const loss = logloss(labels, predictions)
  const base = entropy(labels)
  return loss === null || base === null ? null : loss / base
}

/** Logloss of the best constant, the base rate, nats. */
export function entropy(labels: Values): number | null {
  const rate = sum(labels) / labels.length
  if (labels.length === 0 || rate === 0 || rate === 1) return null
  return -(rate * Math.log(rate) + (1 - rate) * Math.log1p(-rate))
}

/** Mean prediction ÷ observed rate; 1 is unbiased. */
export function calibrationRatio(labels: Values, predictions: Values): number | null {
  const positives = sum(labels)
  return positives === 0 ? null : sum(predictions) / positives
}

/**
 * Expected calibration error over `bins` bins of equal numbers of rows, lowest predictions first:
 * Σ_bins (rows of the bin ÷ rows) · |mean prediction − observed rate|. Where a bin's bound falls among equal predictions, each of these
 * rows counts with the positive rate of all of them, so that the rows' order makes no difference.
 */
export function expectedCalibrationError(labels: Values, predictions: Values, bins = 10): number | null {
  const order = rank(predictions)
  const rows = order.length
  if (rows === 0) return null
  const rates = tiedRates(labels, predictions, order)
  let error = 0
  for (let bin = 0; bin < bins; bin++) {
    let excess = 0
    const end = Math.floor(((bin + 1) * rows) / bins)
    for (let i = Math.floor((bin * rows) / bins); i < end; i++) excess += predictions[order[i]!]! - rates[i]!
    error += Math.abs(excess)
  }
  return error / rows
}

/** Per row of `order`, the positive rate of all rows of its prediction. */
function tiedRates(labels: Values, predictions: Values, order: Uint32Array): Float64Array {
  const rates = new Float64Array(order.length)
  for (let start = 0, end = 0; start < order.length; start = end) {
    const value = predictions[order[start]!]
    let positives = labels[order[end++]!]!
    while (end < order.length && predictions[order[end]!] === value) positives += labels[order[end++]!]!
    rates.fill(positives / (end - start), start, end)
  }
  return rates
}

/** Row numbers, lowest prediction first. */
function rank(predictions: Values): Uint32Array {
  const order = Uint32Array.from({ length: predictions.length }, (_, index) => index)
  return order.sort((a, b) => predictions[a]! - predictions[b]!)
}

export function sum(values: Values): number {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i]!
  return total
}
