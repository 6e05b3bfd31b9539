import { defaultSelection, splitSelection, type TaskMetric } from '../data/epoch-metrics.ts'
import { auc, entropy } from '../model/quality/metrics.ts'
import type { TrainTask } from '../schemas/train-spec.ts'
import type { Examples } from './examples.ts'

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

/** Metrics of logits [rows, tasks]. */
export function validate(
  { labels }: Pick<Examples, 'labels'>,
  tasks: readonly Pick<TrainTask, 'weight'>[],
  logits: ArrayLike<number>,
): Validation {
  const validation: Validation = { loss: 0, auc: [], logloss: [], normalised_entropy: [] }
  tasks.forEach(({ weight }, task) => {
    const inside = insideSampleSpace(labels[task]!, logits, task, tasks.length)
    const logloss = inside.labels.length > 0 ? crossEntropy(inside.labels, inside.logits) / inside.labels.length : null
    const base = entropy(inside.labels)
    validation.loss += weight * (logloss ?? 0)
    validation.auc.push(auc(inside.labels, inside.logits))
    validation.logloss.push(logloss)
    validation.normalised_entropy.push(logloss === null || base === null ? null : logloss / base)
  })
  if (Number.isNaN(validation.loss)) validation.loss = Number.POSITIVE_INFINITY
  return validation
}

/**
 * `select` of a spec: `<task>.<metric>`, or undefined for the mean normalised entropy of all tasks, in which every task counts
 * equally whatever its loss and weight. If no task has both classes in the validation rows, the loss decides.
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

/** A task's labels and logits on the rows of its sample space; `logits` is [rows, width]. */
export function insideSampleSpace(
  labels: Int8Array,
  logits: ArrayLike<number>,
  task: number,
  width: number,
): { labels: number[]; logits: number[] } {
  const inside = { labels: [] as number[], logits: [] as number[] }
  labels.forEach((label, row) => {
    if (label < 0) return
    inside.labels.push(label)
    inside.logits.push(logits[row * width + task]!)
  })
  return inside
}

function crossEntropy(labels: number[], logits: number[]): number {
  return logits.reduce((sum, z, i) => sum + Math.max(z, 0) - z * labels[i]! + Math.log1p(Math.exp(-Math.abs(z))), 0)
}

function mean(values: (number | null)[]): number | undefined {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length
}
