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
}

/** A comparison of epochs. */
export interface Selection {
  /** For people: `mean normalised entropy`, `ctr.auc`. */
  metric: string
  higherIsBetter: boolean
  /** NaN if undefined. */
  value(validation: Validation): number
}

/** Metrics of logits [rows, tasks]. Weights of rows count in all of them but AUC. */
export function validate(
  rows: Pick<Examples, 'labels' | 'weights'>,
  tasks: readonly Pick<TrainTask, 'weight' | 'negatives_kept'>[],
  logits: ArrayLike<number>,
): Validation {
  const validation: Validation = { loss: 0, auc: [], logloss: [], normalised_entropy: [] }
  tasks.forEach(({ weight }, task) => {
    const inside = insideSampleSpace(termLabels({ factors: [task] }, tasks, rows), logits, task, tasks.length)
    const total = inside.weights.reduce((sum, weight) => sum + weight, 0)
    const logloss = total > 0 ? crossEntropy(inside) / total : null
    const rate = inside.labels.reduce((sum, label, i) => sum + label * inside.weights[i]!, 0) / total
    const base = rate > 0 && rate < 1 ? entropyOf(rate) : null
    validation.loss += weight * (logloss ?? 0)
    validation.auc.push(auc(inside.labels, inside.logits))
    validation.logloss.push(logloss)
    validation.normalised_entropy.push(logloss === null || base === null ? null : logloss / base)
  })
  if (Number.isNaN(validation.loss)) validation.loss = Number.POSITIVE_INFINITY
  return validation
}

/**
 * `select` of a spec: `<task>.<metric>`, or undefined for the mean normalised entropy of all tasks, in which every task
 * counts equally whatever its loss and weight. If no task has both classes in the validation rows, the loss decides.
 */
export function createSelection(select: string | undefined, tasks: readonly string[]): Selection {
  if (select === undefined || select === defaultSelection) {
    const value = ({ normalised_entropy, loss }: Validation) => mean(normalised_entropy) ?? loss
    return { metric: 'mean normalised entropy', higherIsBetter: false, value }
  }
  const { task, metric } = splitSelection(select)
  const index = tasks.indexOf(task)
  const value = (validation: Validation) => validation[metric as TaskMetric][index] ?? Number.NaN
  return { metric: select, higherIsBetter: metric === 'auc', value }
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

function crossEntropy({ labels, logits, weights }: InsideRows): number {
  const of = (z: number, label: number) => Math.max(z, 0) - z * label + Math.log1p(Math.exp(-Math.abs(z)))
  return logits.reduce((sum, z, i) => sum + weights[i]! * of(z, labels[i]!), 0)
}

function mean(values: (number | null)[]): number | undefined {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length
}
