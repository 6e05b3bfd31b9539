import { auc, entropyOf } from '../../model/quality/metrics.ts'
import type { TrainTask } from '../../schemas/train-spec.ts'
import { defaultSelection, splitSelection, type TaskMetric } from '../data/read-spec.ts'
import { type Examples, type TermLabels, termLabels } from './terms.ts'

/** One epoch's metrics on the validation rows; null per task without rows or with a single class. */
export interface Validation {
  /** Σ_t weight_t · logloss_t; infinite instead of NaN. */
  loss: number
  auc: (number | null)[]
  logloss: (number | null)[]
  normalised_entropy: (number | null)[]
  /** Rows of the rarer class. */
  rarer: number[]
  /** Each row's term of the normalised entropy, in the order of the rows; they add up to it. */
  terms: Float64Array[]
}

/** A comparison of epochs. */
export interface Selection {
  /** For people: `mean normalised entropy`, `ctr.auc`. */
  metric: string
  higherIsBetter: boolean
  /** NaN if undefined. */
  value(validation: Validation): number
  /** Whether epochs are compared by the normalised entropies of all tasks, by paired rows. */
  paired: boolean
}

/** Metrics of logits [rows, tasks]. Weights of rows count in all of them but AUC. */
export function validate(
  rows: Pick<Examples, 'labels' | 'weights'>,
  tasks: readonly Pick<TrainTask, 'weight' | 'negatives_kept'>[],
  logits: ArrayLike<number>,
): Validation {
  const validation: Validation = { loss: 0, auc: [], logloss: [], normalised_entropy: [], rarer: [], terms: [] }
  tasks.forEach(({ weight }, task) => {
    const inside = insideSampleSpace(termLabels({ factors: [task] }, tasks, rows), logits, task, tasks.length)
    const total = inside.weights.reduce((sum, weight) => sum + weight, 0)
    const losses = crossEntropies(inside)
    const logloss = total > 0 ? losses.reduce((sum, loss) => sum + loss, 0) / total : null
    const rate = inside.labels.reduce((sum, label, i) => sum + label * inside.weights[i]!, 0) / total
    const base = rate > 0 && rate < 1 ? entropyOf(rate) : null
    validation.loss += weight * (logloss ?? 0)
    validation.auc.push(auc(inside.labels, inside.logits))
    validation.logloss.push(logloss)
    validation.normalised_entropy.push(logloss === null || base === null ? null : logloss / base)
    const positives = inside.labels.reduce((sum, label) => sum + label, 0)
    validation.rarer.push(Math.min(positives, inside.labels.length - positives))
    validation.terms.push(base === null ? new Float64Array() : losses.map((loss) => loss / total / base))
  })
  if (Number.isNaN(validation.loss)) validation.loss = Number.POSITIVE_INFINITY
  return validation
}

/**
 * `select` of a spec: `<task>.<metric>`, or undefined for the mean normalised entropy of all tasks. Each counts as much
 * as it has rows of its rarer class, which is how precisely the rows tell its entropy: a hundred conversions do not
 * stop what thousands of clicks still teach. If no task has both classes in the validation rows, the loss decides.
 */
export function createSelection(select: string | undefined, tasks: readonly string[]): Selection {
  if (select === undefined || select === defaultSelection) {
    const value = ({ normalised_entropy, rarer, loss }: Validation) => weightedMean(normalised_entropy, rarer) ?? loss
    return { metric: 'mean normalised entropy', higherIsBetter: false, value, paired: true }
  }
  const { task, metric } = splitSelection(select)
  const index = tasks.indexOf(task)
  const value = (validation: Validation) => validation[metric as TaskMetric][index] ?? Number.NaN
  return { metric: select, higherIsBetter: metric === 'auc', value, paired: false }
}

interface InsideRows {
  labels: number[]
  logits: number[]
  weights: number[]
}

/** The rows in a task's sample space; `logits` is [rows, width]. */
function insideSampleSpace(
  { labels, weights }: TermLabels,
  logits: ArrayLike<number>,
  task: number,
  width: number,
): InsideRows {
  const inside: InsideRows = { labels: [], logits: [], weights: [] }
  labels.forEach((label, row) => {
    if (label < 0) return
    inside.labels.push(label)
    inside.logits.push(logits[row * width + task]!)
    inside.weights.push(weights?.[row] ?? 1)
  })
  return inside
}

/** Weighted. */
function crossEntropies({ labels, logits, weights }: InsideRows): Float64Array {
  const of = (z: number, label: number) => Math.max(z, 0) - z * label + Math.log1p(Math.exp(-Math.abs(z)))
  return Float64Array.from(logits, (z, i) => weights[i]! * of(z, labels[i]!))
}

function weightedMean(values: readonly (number | null)[], weights: readonly number[]): number | undefined {
  const total = values.reduce<number>((sum, value, i) => sum + (value === null ? 0 : weights[i]!), 0)
  if (total === 0) return undefined
  return values.reduce<number>((sum, value, i) => sum + (value ?? 0) * weights[i]!, 0) / total
}

/** One-sided, at 5 %. */
const surely = 1.645

/**
 * Whether a validation is worse than that of another epoch, by more than chance: by the mean difference of its rows'
 * terms, of one task or of all as `createSelection` weighs them.
 */
export function significantlyWorse(now: Validation, best: Validation, task: number | undefined): boolean {
  let [difference, variance] = [0, 0]
  now.terms.forEach((terms, t) => {
    const weight = task === undefined ? now.rarer[t]! : Number(t === task)
    const before = best.terms[t]!
    let [sum, squares] = [0, 0]
    for (let i = 0; i < terms.length; i++) {
      const change = terms[i]! - before[i]!
      sum += change
      squares += change * change
    }
    difference += weight * sum
    variance += weight ** 2 * Math.max(0, squares - sum ** 2 / Math.max(1, terms.length))
  })
  return difference > surely * Math.sqrt(variance)
}
