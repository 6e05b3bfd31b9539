/*
 * Metrics of binary predictions. `labels` are 0 or 1, `predictions` probabilities in [0, 1], both of one length.
 * Where a metric isn't defined (no rows, one class only, a ranking of predictions that aren't numbers) it is null.
 */

import { rank, type Values } from './ranking.ts'

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

/** Binary cross-entropy of one row, nats. */
export function lossOf(label: number, prediction: number): number {
  const p = Math.min(1 - tiny, Math.max(tiny, prediction))
  return label ? -Math.log(p) : -Math.log1p(-p)
}

/** Mean binary cross-entropy, nats. */
export function logloss(labels: Values, predictions: Values): number | null {
  if (labels.length === 0) return null
  let sum = 0
  for (let i = 0; i < labels.length; i++) sum += lossOf(labels[i]!, predictions[i]!)
  return sum / labels.length
}

/** Logloss of the best constant, the base rate, nats. */
export function entropy(labels: Values): number | null {
  const rate = sum(labels) / labels.length
  if (labels.length === 0 || rate === 0 || rate === 1) return null
  return entropyOf(rate)
}

/** Entropy of a rate, nats; NaN for 0 and 1. */
export function entropyOf(rate: number): number {
  return -(rate * Math.log(rate) + (1 - rate) * Math.log1p(-rate))
}

export function sum(values: Values): number {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i]!
  return total
}

/** ±∞ for 1 and 0. */
export const logit = (probability: number): number => Math.log(probability / (1 - probability))
