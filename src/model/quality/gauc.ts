import type { Estimate } from '../../schemas/comparison.ts'
import type { TaskEvaluation } from '../../schemas/evaluation.ts'
import { centralInterval, type Resampling, resample } from './bootstrap.ts'
import { undefinedEstimate } from './judge.ts'
import type { Groups } from './ranking.ts'
import type { ScoredRows } from './scored-rows.ts'

type Gauc = NonNullable<TaskEvaluation['gauc']>

/** Weights of a group's AUC. */
const kinds = ['by_rows', 'by_positives', 'equally'] as const
const width = 2 * kinds.length

/** A mean of groups' AUCs by each weighting, and what paired comparisons need of it. */
export interface GroupedAuc extends Gauc {
  /** Per replicate of the bootstrap, with rows as weights. */
  replicates: Float64Array
}

/**
 * GAUC: the mean of the AUCs within groups (Zhu et al., Optimized Cost per Click in Taobao Display Advertising, 2017),
 * with intervals by the bootstrap over groups. Groups with one class alone have none. `order`: rows by `rank`.
 */
export function groupedAuc(
  rows: ScoredRows & { groups: Groups },
  order: Uint32Array,
  resampling: Resampling,
): GroupedAuc {
  const { groups, buckets } = rows
  const { offsets, members } = byGroup(groups, order)
  const sums = new Float64Array(resampling.buckets * width)
  const total = new Float64Array(width)
  let counted = 0
  let oneClass = 0
  for (let group = 0; group < groups.count; group++) {
    const inside = members.subarray(offsets[group]!, offsets[group + 1]!)
    if (inside.length === 0) continue
    const found = aucOf(rows, inside)
    if (found === undefined) {
      oneClass++
      continue
    }
    counted++
    const at = (buckets[inside[0]!]! % resampling.buckets) * width
    const weights = [found.weight, found.positive, 1]
    weights.forEach((weight, i) => {
      sums[at + 2 * i]! += weight * found.auc
      sums[at + 2 * i + 1]! += weight
      total[2 * i]! += weight * found.auc
      total[2 * i + 1]! += weight
    })
  }
  const drawn = resample(resampling, sums, width)
  const replicatesOf = (i: number) =>
    Float64Array.from(
      { length: resampling.replicates },
      (_, replicate) => drawn[replicate * width + 2 * i]! / drawn[replicate * width + 2 * i + 1]!,
    )
  const estimate = (i: number): Estimate =>
    counted === 0
      ? undefinedEstimate
      : {
          value: total[2 * i]! / total[2 * i + 1]!,
          ...(centralInterval(replicatesOf(i)) ?? { low: null, high: null }),
        }
  return {
    by_rows: estimate(0),
    by_positives: estimate(1),
    equally: estimate(2),
    groups: counted,
    one_class_groups: oneClass,
    replicates: replicatesOf(0),
  }
}

/** GAUC for a report. */
export function gauc(rows: ScoredRows & { groups: Groups }, order: Uint32Array, resampling: Resampling): Gauc {
  const { replicates, ...report } = groupedAuc(rows, order, resampling)
  return report
}

/** Rows of each group, in the order given: those of group g from offsets[g] to offsets[g + 1]. */
export function byGroup({ of, count }: Groups, order: Uint32Array): { offsets: Uint32Array; members: Uint32Array } {
  const offsets = new Uint32Array(count + 1)
  for (const row of order) offsets[of[row]! + 1]!++
  for (let group = 0; group < count; group++) offsets[group + 1]! += offsets[group]!
  const next = offsets.slice()
  const members = new Uint32Array(order.length)
  for (const row of order) members[next[of[row]!]!++] = row
  return { offsets, members }
}

/** AUC of rows that are ordered by prediction; undefined if one class is missing. */
function aucOf({ labels, predictions, weights }: ScoredRows, rows: Uint32Array) {
  if (rows.some((row) => Number.isNaN(predictions[row]))) return undefined
  let [positive, negative, area] = [0, 0, 0]
  for (let start = 0, end = 0; start < rows.length; start = end) {
    const value = predictions[rows[start]!]!
    let [tiedPositive, tiedNegative] = [0, 0]
    for (; end < rows.length && predictions[rows[end]!] === value; end++) {
      const weight = weights ? weights[rows[end]!]! : 1
      if (labels[rows[end]!]) tiedPositive += weight
      else tiedNegative += weight
    }
    area += tiedPositive * (negative + tiedNegative / 2)
    positive += tiedPositive
    negative += tiedNegative
  }
  if (positive === 0 || negative === 0) return undefined
  return { auc: area / (positive * negative), weight: positive + negative, positive }
}
