import { auc } from '../model/quality/metrics.ts'
import type { Training, TrainTask } from '../schemas/train-spec.ts'
import { batchBounds, createGather, type Examples } from './batches.ts'
import type { Network } from './network.ts'
import { type Random, shuffle } from './random.ts'

export interface StepReport {
  epoch: number
  /** Rows of this epoch seen so far. */
  rows: number
  totalRows: number
  /** Mean loss of the epoch so far. */
  loss: number
  rowsPerSecond: number
}

export interface EpochReport {
  epoch: number
  epochs: number
  /** Mean loss over the epoch's steps, regularisation included. */
  loss: number
  /** Σ_t weight_t · mean cross-entropy over the validation rows; infinite where it isn't a number. */
  validationLoss: number
  /** Per task, on the validation rows; null where one class is missing. */
  validationAuc: (number | null)[]
  rowsPerSecond: number
  /** Whether this is the best epoch so far. */
  best: boolean
}

export interface FitObserver {
  step(report: StepReport): void
  epoch(report: EpochReport): void
}

export interface FitInput {
  network: Network
  train: Examples
  validation: Examples
  tasks: readonly Pick<TrainTask, 'name' | 'weight'>[]
  training: Training
  random: Random
  /** Milliseconds. */
  now: () => number
  signal: AbortSignal
  observer: FitObserver
}

/**
 * Fits the network and leaves it with the weights of the epoch whose validation loss was lowest.
 * Answers how many epochs ran, and which was best. Rejects with the signal's reason when aborted.
 */
export async function fit(input: FitInput): Promise<{ epochs: number; best: number }> {
  const { network, train, tasks, training, random, now, signal, observer } = input
  const rows = train.encoded.rows
  const bounds = batchBounds(rows, training.batch_size)
  const gather = createGather(train, tasks, Math.max(...bounds.map(({ start, end }) => end - start)))
  const order = Int32Array.from({ length: rows }, (_, row) => row)
  let best = { epoch: 0, loss: Number.POSITIVE_INFINITY, weights: network.snapshot() }

  let epoch = 0
  while (epoch < training.epochs && epoch - best.epoch < training.patience) {
    epoch += 1
    if (training.shuffle) shuffle(order, random)
    const started = now()
    const speed = (seen: number) => (seen * 1000) / Math.max(1, now() - started)
    let weightedLoss = 0
    for (const { start, end } of bounds) {
      // Signals and progress bars live in the event loop.
      await new Promise(setImmediate)
      signal.throwIfAborted()
      weightedLoss += network.step(gather(order, start, end)) * (end - start)
      observer.step({ epoch, rows: end, totalRows: rows, loss: weightedLoss / end, rowsPerSecond: speed(end) })
    }
    const rowsPerSecond = speed(rows)
    const { loss, aucs } = validate(input)
    const isBest = loss < best.loss
    if (isBest) best = { epoch, loss, weights: network.snapshot() }
    observer.epoch({
      epoch,
      epochs: training.epochs,
      loss: weightedLoss / rows,
      validationLoss: loss,
      validationAuc: aucs,
      rowsPerSecond,
      best: isBest,
    })
  }
  if (best.epoch === 0) throw new Error('The loss is not a number from the first epoch on; try a smaller learning rate')
  network.restore(best.weights)
  return { epochs: epoch, best: best.epoch }
}

function validate({ network, validation, tasks }: FitInput): { loss: number; aucs: (number | null)[] } {
  const logits = network.logits(validation.encoded)
  let loss = 0
  const aucs = tasks.map(({ weight }, task) => {
    const { labels, logits: values } = insideSampleSpace(validation.labels[task]!, logits, task, tasks.length)
    if (labels.length > 0) loss += (weight * crossEntropy(labels, values)) / labels.length
    return auc(labels, values)
  })
  return { loss: Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss, aucs }
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
