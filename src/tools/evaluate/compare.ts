import { centralInterval, createResampling, type Resampling, resample } from '../../model/quality/bootstrap.ts'
import { byGroup, groupedAuc } from '../../model/quality/gauc.ts'
import { judge, undefinedEstimate } from '../../model/quality/judge.ts'
import { rank } from '../../model/quality/ranking.ts'
import type { Comparison, Difference, Estimate, Verdict } from '../../schemas/comparison.ts'
import type { Evaluation } from './evaluate.ts'
import type { PredictedTask } from './evaluate-task.ts'
import { longestTop, overlap } from './overlap.ts'
import { aucDifference, deciding, difference, differenceOf, zOf } from './paired-differences.ts'

type TaskComparison = Comparison['tasks'][number]

/**
 * Compares two versions on the same rows. Every interval is that of the paired difference, over groups where there are
 * some. The verdict goes by AUC and normalised entropy of all tasks, with Bonferroni's correction for their number:
 * `worse` if any is surely worse, `better` if any is surely better and none is worse.
 */
export function compare(
  names: { a: string; b: string },
  pairs: readonly { a: PredictedTask; b: PredictedTask }[],
  resampling: Resampling,
): Comparison {
  const z = zOf(deciding.length * pairs.length)
  const tasks = pairs.map(({ a, b }) => compareTask(a, b, resampling, z))
  const decisions = tasks.flatMap((task) =>
    deciding.map((metric) => ({ task: task.name, metric, ...task.metrics[metric] })),
  )
  const verdict = overall(decisions.map((decision) => decision.verdict!))
  const told = decisions.filter((decision) => decision.verdict === verdict && verdict !== 'no difference shown')
  return {
    ...names,
    verdict,
    reasons:
      told.length === 0
        ? ['no interval of AUC or normalised entropy excludes "no difference"']
        : told.map(({ task, metric, verdict, difference }) => reasonOf(task, metric, verdict!, difference)),
    tasks,
  }
}

/** Compares two versions that were judged on the same rows, on the tasks that both have. */
export function comparisonOf(a: Evaluation, b: Evaluation): Comparison {
  const pairs = b.tasks.flatMap((task) => {
    const other = a.tasks.find(({ name }) => name === task.name)
    return other ? [{ a: other, b: task }] : []
  })
  const nameOf = ({ report: { model } }: Evaluation) => `${model.name}/${model.version}`
  const { seed, replicates } = b.report
  return compare({ a: nameOf(a), b: nameOf(b) }, pairs, createResampling(b.groups.count, replicates, seed))
}

function compareTask(a: PredictedTask, b: PredictedTask, resampling: Resampling, z: number): TaskComparison {
  const [orderA, orderB] = [rank(a.predictions), rank(b.predictions)]
  const pair = { a: judge(a, orderA, resampling), b: judge(b, orderB, resampling) }
  const metrics = {
    auc: aucDifference(a, orderA, pair, z),
    logloss: difference(pair, 'logloss', z),
    normalised_entropy: difference(pair, 'normalised_entropy', z),
    calibration_ratio: difference(pair, 'calibration_ratio', z, (ratio) => Math.abs(ratio - 1)),
    ece: difference(pair, 'ece', z),
  }
  const { groups } = a
  const grouped = groups && {
    a: groupedAuc({ ...a, groups }, orderA, resampling),
    b: groupedAuc({ ...b, groups }, orderB, resampling),
  }
  return {
    name: a.name,
    verdict: overall(deciding.map((metric) => metrics[metric].verdict!)),
    metrics,
    ...(grouped && {
      gauc: {
        a: grouped.a.by_rows.value,
        b: grouped.b.by_rows.value,
        difference: differenceOf(
          grouped.a.by_rows.value,
          grouped.b.by_rows.value,
          grouped.b.replicates.map((value, i) => value - grouped.a.replicates[i]!),
        ),
      },
    }),
    ...(groups && { ranking: compareRankings(a, b, byGroup(groups, orderA), resampling) }),
  }
}

function overall(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('worse')) return 'worse'
  return verdicts.includes('better') ? 'better' : 'no difference shown'
}

const titles = { auc: 'AUC', normalised_entropy: 'normalised entropy' }

function reasonOf(
  task: string,
  metric: (typeof deciding)[number],
  verdict: Verdict,
  { value, low, high }: Difference['difference'],
) {
  const text = (number: number | null) =>
    number === null ? '–' : `${number < 0 ? '−' : '+'}${Math.abs(number).toFixed(4)}`
  return `${task}: ${titles[metric]} is ${verdict}, ${text(value)} (${text(low)} … ${text(high)})`
}

/** Sums of a group. */
const width = 4

/**
 * How alike two versions rank within groups: the share of the first's top list that the second has there too, and
 * Spearman's rank correlation. `grouped`: rows by group.
 */
export function compareRankings(
  a: PredictedTask,
  b: PredictedTask,
  { offsets, members }: { offsets: Uint32Array; members: Uint32Array },
  resampling: Resampling,
): NonNullable<Comparison['tasks'][number]['ranking']> {
  const sums = new Float64Array(resampling.buckets * width)
  const total = new Float64Array(width)
  let groups = 0
  for (let group = 0; group + 1 < offsets.length; group++) {
    const rows = members.subarray(offsets[group]!, offsets[group + 1]!)
    if (rows.length < 2) continue
    groups++
    const at = (a.buckets[rows[0]!]! % resampling.buckets) * width
    const correlation = spearman(rows, a.predictions, b.predictions)
    const added = [overlap(rows, a.predictions, b.predictions), 1, correlation ?? 0, correlation === undefined ? 0 : 1]
    added.forEach((value, i) => {
      sums[at + i]! += value
      total[i]! += value
    })
  }
  const drawn = resample(resampling, sums, width)
  const estimate = (i: number): Estimate => {
    if (total[i + 1] === 0) return undefinedEstimate
    const replicates = Float64Array.from(
      { length: resampling.replicates },
      (_, replicate) => drawn[replicate * width + i]! / drawn[replicate * width + i + 1]!,
    )
    return { value: total[i]! / total[i + 1]!, ...(centralInterval(replicates) ?? { low: null, high: null }) }
  }
  return { groups, k: longestTop, overlap: estimate(0), correlation: estimate(2) }
}

/** Spearman's correlation of the rows' scores by mid-ranks; undefined where all scores of a version are equal. */
export function spearman(rows: Uint32Array, a: Float64Array, b: Float64Array): number | undefined {
  const [x, y] = [midRanks(rows, a), midRanks(rows, b)]
  const mean = (rows.length - 1) / 2
  let [xx, yy, xy] = [0, 0, 0]
  for (let i = 0; i < rows.length; i++) {
    xx += (x[i]! - mean) ** 2
    yy += (y[i]! - mean) ** 2
    xy += (x[i]! - mean) * (y[i]! - mean)
  }
  return xx === 0 || yy === 0 ? undefined : xy / Math.sqrt(xx * yy)
}

function midRanks(rows: Uint32Array, scores: Float64Array): Float64Array {
  const order = Array.from(rows, (_, i) => i).sort((i, j) => scores[rows[i]!]! - scores[rows[j]!]!)
  const ranks = new Float64Array(rows.length)
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && scores[rows[order[end]!]!] === scores[rows[order[start]!]!]) end++
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + end - 1) / 2
  }
  return ranks
}
