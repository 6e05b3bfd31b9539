import type { TrainTask } from '../../schemas/train-spec.ts'
import { type Examples, termLabels, termsOf } from './terms.ts'

/**
 * The logit that each task starts from: that of its rate among the training rows. Of a task that is trained over the
 * entire space it is the rate where the tasks before it are positive.
 */
export function startLogits(tasks: readonly TrainTask[], rows: Pick<Examples, 'labels' | 'weights'>): number[] {
  const rateOf = (factors: number[]) => (factors.length === 0 ? 1 : positiveRate(termLabels({ factors }, tasks, rows)))
  return termsOf(tasks).map(({ factors }) => {
    // More than 1 where the rows of the two differ.
    const rate = Math.min(rateOf(factors) / rateOf(factors.slice(1)), 1 - leastRate)
    return Math.log(rate / (1 - rate))
  })
}

/** Keeps logits finite. */
const leastRate = 1e-6

/** Weighted; of one class alone, as if half a row were of the other. */
function positiveRate({ labels, weights }: ReturnType<typeof termLabels>): number {
  let [rows, total, positive] = [0, 0, 0]
  labels.forEach((label, row) => {
    if (label < 0) return
    const weight = weights?.[row] ?? 1
    rows += 1
    total += weight
    if (label === 1) positive += weight
  })
  if (total === 0) return 0.5
  const least = 1 / (2 * rows)
  return Math.min(Math.max(positive / total, least), 1 - least)
}
