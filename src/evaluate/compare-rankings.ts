import { centralInterval, type Resampling, resample } from '../model/quality/bootstrap.ts'
import { undefinedEstimate } from '../model/quality/judge.ts'
import type { Comparison, Estimate } from '../schemas/comparison.ts'
import type { PredictedTask } from './evaluate-task.ts'

/** Length of the top list; of a small group at most half of it. */
const longestTop = 10
const width = 4

/**
 * How alike two versions rank within groups: the share of the first's top list that the second has there too, and Spearman's rank
 * correlation. `grouped`: rows by group.
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

function overlap(rows: Uint32Array, a: Float64Array, b: Float64Array): number {
  const k = Math.min(longestTop, Math.ceil(rows.length / 2))
  const top = (scores: Float64Array) =>
    Array.from(rows)
      .sort((x, y) => scores[y]! - scores[x]! || x - y)
      .slice(0, k)
  const first = new Set(top(a))
  return top(b).filter((row) => first.has(row)).length / k
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
