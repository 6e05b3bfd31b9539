import type { TrainTask } from '../../schemas/train-spec.ts'
import type { PackedRows } from '../data/packed-rows.ts'
import { productLabel } from '../evaluate/task-rows.ts'
import { shared, shareFloats } from './threads/shared.ts'

/** A term of the loss: the cross-entropy of a task's probability, or of its product with other tasks'. */
export interface Term {
  /** Indexes of tasks; the term's own first. */
  factors: number[]
  weight: number
}

/** One term per task, in their order. */
export function termsOf(tasks: readonly TrainTask[]): Term[] {
  const names = tasks.map(({ name }) => name)
  return tasks.map(({ weight, entire_space = [] }, task) => ({
    factors: [task, ...entire_space.map((name) => names.indexOf(name))],
    weight,
  }))
}

/** The labels and weights of rows for a term, in memory that threads share. */
export interface TermLabels {
  /** Per row 1, 0, or −1 where it does not count. */
  labels: Int8Array
  /** Per row its weight; undefined: each weighs 1. */
  weights: Float32Array | undefined
}

/**
 * Labels of a product of tasks, and the rows' weights: a negative of a task of which a share of the negatives was kept
 * weighs as many rows as it stands for.
 */
export function termLabels(
  { factors }: Pick<Term, 'factors'>,
  tasks: readonly Pick<TrainTask, 'negatives_kept'>[],
  rows: { labels: Int8Array[]; weights?: Float32Array | undefined },
): TermLabels {
  const count = rows.labels[0]!.length
  const columns = factors.map((task) => rows.labels[task]!)
  const labelOf = productLabel(columns)
  const labels = shared(Int8Array.from({ length: count }, (_, row) => labelOf(row)))
  const sampled = factors.filter((task) => tasks[task]!.negatives_kept !== undefined)
  if (sampled.length === 0) return { labels, weights: rows.weights && shared(rows.weights) }
  const weights = shareFloats(count)
  for (let row = 0; row < count; row++) {
    let weight = rows.weights?.[row] ?? 1
    for (const task of sampled) if (rows.labels[task]![row] === 0) weight /= tasks[task]!.negatives_kept!
    weights[row] = weight
  }
  return { labels, weights }
}

/** Encoded rows with their labels: per task, per row 1, 0, or −1 outside the task's sample space. */
export interface Examples {
  encoded: PackedRows
  labels: Int8Array[]
  /** Per row its weight; undefined: each weighs 1. */
  weights?: Float32Array | undefined
}
