import { createResampling } from '../../src/model/quality/bootstrap.ts'
import { compare } from '../../src/tools/evaluate/compare.ts'
import { drawPair, type PairOptions } from './simulated-pairs.ts'
import { bucketsOf } from './simulated-rows.ts'

/** Shares of the draws in which a comparison says so. */
export interface Verdicts {
  better: number
  worse: number
  none: number
  /** Some 95 % interval of AUC or normalised entropy excludes 0. */
  excluded: number
}

/** Compares draws of two versions on `tasks` tasks. */
export function verdictsOf(
  options: PairOptions,
  { rows, draws, tasks = 1, replicates = 200 }: { rows: number; draws: number; tasks?: number; replicates?: number },
): Verdicts {
  const verdicts: Verdicts = { better: 0, worse: 0, none: 0, excluded: 0 }
  const resampling = createResampling(bucketsOf(drawPair(options, rows, 1).a), replicates, 1)
  for (let draw = 0; draw < draws; draw++) {
    const pairs = Array.from({ length: tasks }, (_, task) =>
      drawPair(options, rows, 1 + draw * tasks + task, `task${task}`),
    )
    const comparison = compare({ a: 'a', b: 'b' }, pairs, resampling)
    const { verdict } = comparison
    verdicts[verdict === 'no difference shown' ? 'none' : verdict] += 1 / draws
    const differences = comparison.tasks.flatMap(({ metrics }) => [metrics.auc, metrics.normalised_entropy])
    if (differences.some(({ difference: { low, high } }) => low! > 0 || high! < 0)) verdicts.excluded += 1 / draws
  }
  return verdicts
}
