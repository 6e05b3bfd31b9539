import { createResampling } from '../../src/model/quality/bootstrap.ts'
import { perfectCalibrationError } from '../../src/model/quality/calibration-error.ts'
import { judge } from '../../src/model/quality/judge.ts'
import { rank } from '../../src/model/quality/ranking.ts'
import { bucketsOf, drawHeavyGroups, drawRows, type Population } from './simulated-rows.ts'

export const covered = ['auc', 'logloss', 'normalised_entropy', 'calibration_ratio'] as const

export type Coverage = Record<(typeof covered)[number], number>

export interface CoverageOptions {
  rows: number
  sets: number
  replicates: number
  /** Rows whose metrics are the truth. */
  truth: number
  /** The first set's seed: others for each population, because rows of one seed share their random numbers. */
  seed: number
  /** Judge rows as if they had no groups. */
  ignoreGroups?: boolean
}

/** In what share of simulated sets of rows the 95 % intervals contain the population's metrics. */
export function coverageOf(
  population: Population,
  { rows, sets, replicates, truth, seed, ignoreGroups }: CoverageOptions,
): Coverage {
  const everything = drawRows(population, truth, 1)
  const { metrics: true_ } = judge(everything, rank(everything.predictions), createResampling(2, 2, 1))
  const resampling = createResampling(
    bucketsOf(drawRows(ignoreGroups ? { ...population, perGroup: 1 } : population, rows, 1)),
    replicates,
    1,
  )
  const inside: Coverage = { auc: 0, logloss: 0, normalised_entropy: 0, calibration_ratio: 0 }
  for (let set = 0; set < sets; set++) {
    const drawn = drawRows(population, rows, seed + set)
    const judged = ignoreGroups ? { ...drawn, groups: undefined, buckets: drawn.buckets.map((_, row) => row) } : drawn
    const { metrics } = judge(judged, rank(judged.predictions), resampling)
    for (const name of covered) {
      const { low, high } = metrics[name]
      if (low! <= true_[name].value! && true_[name].value! <= high!) inside[name] += 1 / sets
    }
  }
  return inside
}

/** Share of sets of perfect predictions, in a few large groups, whose error is above what they would give by chance. */
export function shareAbovePerfect(sets: number, ignoreGroups: boolean): number {
  let above = 0
  for (let set = 0; set < sets; set++) {
    const drawn = drawHeavyGroups(400, 500 + set)
    const rows = ignoreGroups ? { ...drawn, groups: undefined } : drawn
    const order = rank(rows.predictions)
    const { eceMeasured } = judge(rows, order, createResampling(400, 20, 1))
    if (eceMeasured! > perfectCalibrationError(rows, order, set)!.high) above++
  }
  return above / sets
}
