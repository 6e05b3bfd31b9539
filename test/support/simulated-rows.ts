import { mostBuckets } from '../../src/model/quality/bootstrap.ts'
import type { ScoredRows } from '../../src/model/quality/scored-rows.ts'
import { sigmoid } from '../../src/model/serving/calibration/calibrator.ts'
import { createRandom, type Random } from '../../src/tools/data/random.ts'

/** A population of labelled predictions to draw rows from. */
export interface Population {
  /** Logit of the base rate, about. */
  base: number
  /** Rows per group; 1: no groups. A group has an effect of its own on labels, and one on predictions. */
  perGroup: number
  /** Deviation of a group's effect. */
  effect: number
  /** Whether rows have weights, higher for likelier ones. */
  weighted: boolean
  /** Deviation of what is truly different between rows, and of the predictions' noise. */
  signal: number
  noise: number
}

export const independent: Population = { base: -3.6, perGroup: 1, effect: 0, weighted: false, signal: 1.2, noise: 0.5 }
export const grouped: Population = { ...independent, base: -4.6, perGroup: 20, effect: 1.5 }
export const weighted: Population = { ...independent, weighted: true }
export const rare: Population = { ...independent, base: -6.1 }

/** Rows with their true probabilities. */
export type SimulatedRows = ScoredRows & { truth: Float64Array }

/** Draws rows; the same seed gives the same rows. */
export function drawRows(population: Population, rows: number, seed: number | Random): SimulatedRows {
  const random = typeof seed === 'number' ? createRandom(seed) : seed
  const { base, perGroup, effect, weighted, signal, noise } = population
  const labels = new Uint8Array(rows)
  const predictions = new Float64Array(rows)
  const truth = new Float64Array(rows)
  const weights = weighted ? new Float64Array(rows) : undefined
  const of = new Uint32Array(rows)
  let [ofGroup, shared] = [0, 0]
  for (let row = 0; row < rows; row++) {
    of[row] = Math.floor(row / perGroup)
    if (perGroup > 1 && row % perGroup === 0) [ofGroup, shared] = [effect * random.normal(), effect * random.normal()]
    const known = signal * random.normal()
    truth[row] = sigmoid(base + known + ofGroup)
    labels[row] = Number(random.uniform() < truth[row]!)
    predictions[row] = sigmoid(base + 0.3 + 0.9 * known + 0.5 * ofGroup + shared / 2 + noise * random.normal())
    if (weights) weights[row] = Math.exp(0.5 * random.normal() + 0.3 * known)
  }
  const count = Math.ceil(rows / perGroup)
  return {
    ...{ labels, predictions, truth, weights },
    groups: perGroup > 1 ? { of, count } : undefined,
    buckets: of.map((group) => group % mostBuckets),
  }
}

/**
 * The same where a share `kept` of the negatives was kept, by the definition of such a sample: rows are drawn, and most
 * negatives dropped.
 */
export function drawSampledRows(population: Population, drawn: number, kept: number, seed: number): SimulatedRows {
  const random = createRandom(seed)
  const all = drawRows(population, drawn, random)
  const stays = Array.from(all.labels, (label) => label === 1 || random.uniform() < kept)
  const left = <T extends ArrayLike<number>>(values: T) => Array.from(values).filter((_, row) => stays[row])
  const labels = left(all.labels)
  const own = all.weights && left(all.weights)
  return {
    labels,
    predictions: left(all.predictions),
    truth: Float64Array.from(left(all.truth)),
    weights: labels.map((label, row) => (own?.[row] ?? 1) / (label ? 1 : kept)),
    kept: { own, shares: [kept] },
    groups: undefined,
    buckets: Uint32Array.from(left(all.buckets)),
  }
}

/** The number of buckets of rows. */
export function bucketsOf({ buckets }: Pick<ScoredRows, 'buckets'>): number {
  let most = 0
  for (const bucket of buckets) if (bucket > most) most = bucket
  return most + 1
}

/**
 * Rows of perfectly calibrated predictions, in groups of which a few have most rows (Pareto), and whose labels have
 * something in common that no prediction knows: a factor of mean 1.
 */
export function drawHeavyGroups(groups: number, seed: number): SimulatedRows {
  const random = createRandom(seed)
  const rows: [group: number, prediction: number, label: number][] = []
  for (let group = 0; group < groups; group++) {
    const size = Math.min(1000, Math.ceil(3 * (1 - random.uniform()) ** (-1 / 1.3)))
    const factor = Math.exp(0.5 * random.normal() - 0.125)
    for (let i = 0; i < size; i++) {
      const prediction = sigmoid(-3 + 0.8 * random.normal())
      rows.push([group, prediction, Number(random.uniform() < Math.min(1, factor * prediction))])
    }
  }
  const predictions = Float64Array.from(rows, ([, prediction]) => prediction)
  const of = Uint32Array.from(rows, ([group]) => group)
  return {
    labels: Uint8Array.from(rows, ([, , label]) => label),
    ...{ predictions, truth: predictions, weights: undefined },
    groups: { of, count: groups },
    buckets: of.map((group) => group % mostBuckets),
  }
}
