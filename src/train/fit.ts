import { type Random, shuffle } from '../data/random.ts'
import type { Epoch } from '../schemas/evaluation.ts'
import type { Training, TrainTask } from '../schemas/train-spec.ts'
import { batchBounds, createGather, type Examples } from './batches.ts'
import type { Network } from './network.ts'
import { createSelection, validate } from './selection.ts'

export interface StepReport {
  epoch: number
  /** Rows of this epoch so far. */
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
  /** Σ_t weight_t · mean cross-entropy over the validation rows; infinite instead of NaN. */
  validationLoss: number
  /** Per task, on the validation rows; null if one class is missing. */
  validationAuc: (number | null)[]
  /** The metric on the validation rows that compares epochs. */
  selection: { metric: string; value: number }
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
  /** Per sparse field the id of unknown values; −1 where it has none. */
  unknownIds: Int32Array
  /** Milliseconds. */
  now: () => number
  signal: AbortSignal
  observer: FitObserver
}

export interface FitResult {
  /** Number of epochs. */
  epochs: number
  kept: { epoch: number; metric: string; value: number }
  history: Epoch[]
}

/**
 * Fits the network and restores the weights of the best epoch on the validation rows, according to `training.select`.
 * Rejects with the signal's reason when aborted.
 */
export async function fit(input: FitInput): Promise<FitResult> {
  const { network, train, tasks, training, random, now, signal, observer } = input
  const rows = train.encoded.rows
  const bounds = batchBounds(rows, training.batch_size)
  const masking = training.unknown > 0 ? { share: training.unknown, unknown: input.unknownIds, random } : undefined
  const gather = createGather(train, tasks, Math.max(...bounds.map(({ start, end }) => end - start)), masking)
  const order = Int32Array.from({ length: rows }, (_, row) => row)
  const { metric, higherIsBetter, value } = createSelection(
    training.select,
    tasks.map(({ name }) => name),
  )
  const sign = higherIsBetter ? -1 : 1
  let best = { epoch: 0, value: sign * Number.POSITIVE_INFINITY, weights: network.snapshot() }

  const history: Epoch[] = []
  let epoch = 0
  while (epoch < training.epochs && epoch - best.epoch < training.patience) {
    epoch += 1
    if (training.shuffle) shuffle(order, random)
    const started = now()
    const speed = (seen: number) => (seen * 1000) / Math.max(1, now() - started)
    let weightedLoss = 0
    for (const { start, end } of bounds) {
      // Lets signals and progress bars run.
      await new Promise(setImmediate)
      signal.throwIfAborted()
      weightedLoss += network.step(gather(order, start, end)) * (end - start)
      observer.step({ epoch, rows: end, totalRows: rows, loss: weightedLoss / end, rowsPerSecond: speed(end) })
    }
    const rowsPerSecond = speed(rows)
    const validation = validate(input.validation, tasks, network.logits(input.validation.encoded))
    const reached = Number.isFinite(validation.loss) ? value(validation) : Number.NaN
    const isBest = sign * reached < sign * best.value
    if (isBest) best = { epoch, value: reached, weights: network.snapshot() }
    history.push({
      epoch,
      loss: weightedLoss / rows,
      validation_loss: Number.isFinite(validation.loss) ? validation.loss : null,
      auc: Object.fromEntries(tasks.map(({ name }, task) => [name, validation.auc[task] ?? null])),
    })
    observer.epoch({
      epoch,
      epochs: training.epochs,
      loss: weightedLoss / rows,
      validationLoss: validation.loss,
      validationAuc: validation.auc,
      selection: { metric, value: reached },
      rowsPerSecond,
      best: isBest,
    })
  }
  if (best.epoch === 0) throw new Error('The loss is not a number from the first epoch on; try a smaller learning rate')
  network.restore(best.weights)
  return { epochs: epoch, kept: { epoch: best.epoch, metric, value: best.value }, history }
}
