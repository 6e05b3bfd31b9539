import { foldOf, scatter } from '../../base/hash.ts'
import { combinationKey, type LinearRows } from './linear-rows.ts'
import { fitLogistic, ridge } from './logistic.ts'
import { hasSeveral } from './model-fields.ts'
import type { PredictorField } from './predictor.ts'

/** Pairs that are tried, and those that are taken at most. */
const mostTried = 256
const mostTaken = 4
/** One row in this many says whether a pair helps; the others say how. */
const parts = 5

/** The pairs of a context's and a candidate's field, by index; of fields that have one value. */
function pairsOf(fields: readonly PredictorField[]): [number, number][] {
  const indexes = (side: string) =>
    fields.flatMap((field, index) =>
      field.side === side && field.kind !== 'numeric' && !hasSeveral(field) ? [index] : [],
    )
  const candidates = indexes('candidate')
  return indexes('context').flatMap((context) => candidates.map((candidate): [number, number] => [context, candidate]))
}

/** Combinations of a pair are judged in a fixed number of cells, which many share by a hash. */
const cells = 2 ** 16

/**
 * Chooses pairs of fields for a logistic regression that has none: those whose combinations explain most of what a fit
 * without them leaves, on rows that did not say how. `positions`, `labels` and `weights` are those of the rows that it
 * is fitted to. Each pair is judged by a Newton step of its weights from 0. `pause`: awaited after each pass over the
 * rows, of the fit and of each pair.
 */
export async function chooseCrosses(
  linear: LinearRows,
  fields: readonly PredictorField[],
  positions: ArrayLike<number>,
  labels: ArrayLike<number>,
  weights: ArrayLike<number> | undefined,
  pause: () => Promise<void> = async () => undefined,
): Promise<[number, number][]> {
  const pairs = pairsOf(fields).slice(0, mostTried)
  if (pairs.length === 0) return []
  const predict = await fitLogistic(linear, positions, labels, weights, pause)
  const rows = positions.length
  const judging = Uint8Array.from({ length: rows }, (_, i) => Number(foldOf(i, parts) === 0))
  const slopes = new Float64Array(rows)
  const curvatures = new Float64Array(rows)
  for (let i = 0; i < rows; i++) {
    const p = predict(positions[i]!)
    const weight = weights?.[i] ?? 1
    slopes[i] = weight * (p - (labels[i] ? 1 : 0))
    curvatures[i] = weight * p * (1 - p)
  }
  // Per cell: first and second derivatives of the rows that fit, and of those that judge.
  const sums = new Float64Array(4 * cells)
  const gainOf = (pair: readonly number[]): number => {
    const keyOf = combinationKey(linear, pair)
    sums.fill(0)
    for (let i = 0; i < rows; i++) {
      const at = 4 * (scatter(keyOf(positions[i]!) >>> 0) % cells) + 2 * judging[i]!
      sums[at]! += slopes[i]!
      sums[at + 1]! += curvatures[i]!
    }
    let gain = 0
    for (let at = 0; at < sums.length; at += 4) {
      const step = -sums[at]! / (sums[at + 1]! + ridge)
      gain -= sums[at + 2]! * step + (sums[at + 3]! * step * step) / 2
    }
    return gain
  }
  const gains: { pair: [number, number]; gain: number }[] = []
  for (const pair of pairs) {
    gains.push({ pair, gain: gainOf(pair) })
    await pause()
  }
  return gains
    .filter(({ gain }) => gain > 0)
    .sort((a, b) => b.gain - a.gain)
    .slice(0, mostTaken)
    .map(({ pair }) => pair)
}
