import { centralInterval } from '../../model/quality/bootstrap.ts'
import { type Judgement, undefinedEstimate } from '../../model/quality/judge.ts'
import { inverseNormal, z95 } from '../../model/quality/normal.ts'
import { aucVariance } from '../../model/quality/ranking.ts'
import type { ScoredRows } from '../../model/quality/scored-rows.ts'
import type { Difference, MetricName, Verdict } from '../../schemas/comparison.ts'

/** Metrics that decide: how well the version ranks, and how good its probabilities are. */
export const deciding = ['auc', 'normalised_entropy'] as const
/** Probability that any verdict of a comparison is wrong if there is no difference. */
const level = 0.05
/**
 * Differences up to this may be of rounding: two fits of a calibration, or sums of floats, agree to about 1e-7. The
 * last digit that is shown of a metric is ten times as large.
 */
const rounding = 1e-6

/** The bound of a normal deviate by which none of this many verdicts is wrong, after Bonferroni. */
export const zOf = (verdicts: number): number => inverseNormal(1 - level / (2 * Math.max(1, verdicts)))

/** `distance` maps a metric to what is compared: less is better. */
export function difference(
  { a, b }: { a: Judgement; b: Judgement },
  metric: Exclude<MetricName, 'auc'>,
  z: number,
  distance = (value: number) => value,
): Difference {
  const [valueA, valueB] = [a.metrics[metric].value, b.metrics[metric].value]
  const drawn = b.replicates[metric].map((value, i) => distance(value) - distance(a.replicates[metric][i]!))
  const found = differenceOf(
    valueA === null ? null : distance(valueA),
    valueB === null ? null : distance(valueB),
    drawn,
  )
  return { a: valueA, b: valueB, difference: found, verdict: verdictOf(found.value, deviationOf(drawn), z, -1) }
}

export function aucDifference(
  rows: Pick<ScoredRows, 'labels' | 'weights' | 'groups'>,
  order: Uint32Array,
  { a, b }: { a: Judgement; b: Judgement },
  z: number,
): Difference {
  const [first, second] = [a.auc, b.auc]
  if (first === undefined || second === undefined)
    return { a: null, b: null, difference: undefinedEstimate, verdict: 'no difference shown' }
  const value = second.auc - first.auc
  const deviation = Math.sqrt(
    aucVariance(
      {
        labels: rows.labels,
        weights: rows.weights,
        order,
        groups: rows.groups,
        positive: first.positive,
        negative: first.negative,
      },
      (row) => second.components[row]! - second.auc - (first.components[row]! - first.auc),
    ),
  )
  const interval = Number.isNaN(deviation)
    ? { low: null, high: null }
    : { low: value - z95 * deviation, high: value + z95 * deviation }
  return {
    a: first.auc,
    b: second.auc,
    difference: { value, ...interval },
    verdict: verdictOf(value, deviation, z, 1),
  }
}

export function differenceOf(a: number | null, b: number | null, drawn: Float64Array): Difference['difference'] {
  if (a === null || b === null) return undefinedEstimate
  return { value: b - a, ...(centralInterval(drawn) ?? { low: null, high: null }) }
}

/** `sign`: 1 if more is better. Differences that may be of rounding show nothing. */
function verdictOf(value: number | null, deviation: number, z: number, sign: 1 | -1): Verdict {
  if (value === null || !Number.isFinite(deviation) || Math.abs(value) <= Math.max(z * deviation, rounding))
    return 'no difference shown'
  return sign * value > 0 ? 'better' : 'worse'
}

/** NaN of fewer than two finite values. */
function deviationOf(values: Float64Array): number {
  const finite = values.filter(Number.isFinite)
  if (finite.length < 2) return Number.NaN
  const mean = finite.reduce((sum, value) => sum + value, 0) / finite.length
  return Math.sqrt(finite.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (finite.length - 1))
}
