import { murmur3 } from '../../base/hash.ts'
import type { Epoch } from '../../schemas/evaluation.ts'
import type { Training, TrainTask } from '../../schemas/train-spec.ts'
import { createRandom, shuffle } from '../data/random.ts'
import { createKeeping, type KeptEpoch, type KeptWeights, type OwnPlaces } from './keep-best.ts'
import { createSelection, validate } from './selection.ts'
import type { Examples } from './terms.ts'
import type { StepBounds } from './threads/protocol.ts'
import type { EpochProgress, Trainer, TrainingState } from './threads/trainer.ts'

export interface StepReport {
  epoch: number
  /** Rows of this epoch so far. */
  rows: number
  totalRows: number
  /** Mean loss of the epoch so far. */
  loss: number
  rowsPerSecond: number
  epochs: number
  /** Seconds that the remaining rows take at this speed, if all epochs are taken. */
  secondsLeft: number
}

export interface EpochReport {
  epoch: number
  epochs: number
  /** Mean loss over the epoch's steps. */
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

/** How far a run has come, after an epoch. */
export interface FitProgress {
  /** Number of epochs. */
  epoch: number
  steps: number
  best: KeptEpoch
  history: Epoch[]
}

export interface FitInput {
  trainer: Trainer
  /** Number of training rows. */
  rows: number
  validation: Examples
  tasks: readonly Pick<TrainTask, 'name' | 'weight' | 'negatives_kept'>[]
  training: Training
  /** Per task, where the tasks share no weight. */
  own: OwnPlaces[] | undefined
  /** Where an interrupted run stopped; the trainer has its state already. `logits`: of the weights that are kept. */
  resumed: (FitProgress & { kept: KeptWeights; logits: Float32Array }) | undefined
  /** Called after each epoch; `kept` is given where this epoch is the best. */
  save(progress: FitProgress, state: TrainingState, kept: KeptWeights | undefined): Promise<void>
  /** Milliseconds. */
  now: () => number
  signal: AbortSignal
  observer: FitObserver
  log(line: string): void
}

export interface FitResult {
  /** Number of epochs. */
  epochs: number
  /** `tasks`: each task's epoch, where they differ; `epoch` is the last of them. */
  kept: { epoch: number; metric: string; value: number; tasks?: Record<string, number> }
  history: Epoch[]
  /** Weights of the best epoch. */
  weights: KeptWeights
}

/**
 * Divides `rows` rows into steps. A last step of fewer rows than `least` joins the one before it: batch normalisation
 * learns no variance from a single row.
 */
export function stepBounds(rows: number, batchSize: number, least = 2): StepBounds[] {
  const bounds: StepBounds[] = []
  for (let start = 0; start < rows; start += batchSize) bounds.push({ start, end: Math.min(rows, start + batchSize) })
  const last = bounds.at(-1)
  if (bounds.length > 1 && last && last.end - last.start < least) {
    bounds.pop()
    bounds.at(-1)!.end = rows
  }
  return bounds
}

/** The order of an epoch's rows: it follows from the seed and the epoch, whatever was before. */
function orderOf(rows: number, epoch: number, { shuffle: mixed, seed }: Training): Int32Array {
  const order = Int32Array.from({ length: rows }, (_, row) => row)
  if (mixed) shuffle(order, createRandom(murmur3(`order ${epoch}`, seed)))
  return order
}

/**
 * Fits the network; the weights of the best epoch on the validation rows, according to `training.select`, are kept.
 * Where the tasks share no weight, and `select` names no metric, each keeps its own best epoch.
 *
 * Where the loss becomes no number, training ends with the best epoch before; without one it rejects with an Error that
 * names the step. Rejects with the signal's reason when aborted.
 */
export async function fit(input: FitInput): Promise<FitResult> {
  const { trainer, rows, tasks, training, now, signal, observer, log } = input
  const bounds = stepBounds(rows, training.batch_size, 2 * trainer.threads)
  const selection = createSelection(
    training.select,
    tasks.map(({ name }) => name),
  )
  const { metric, value } = selection
  const { resumed } = input
  const keeping = createKeeping(selection, input.own, resumed && resumedKeeping(input, resumed))
  const history: Epoch[] = [...(resumed?.history ?? [])]
  let epoch = resumed?.epoch ?? 0
  let steps = resumed?.steps ?? 0

  while (epoch < training.epochs && keeping.best.waited < training.patience) {
    signal.throwIfAborted()
    epoch += 1
    const started = now()
    const report = ({ rows: seen, weightedLoss }: EpochProgress): StepReport => {
      const rowsPerSecond = (seen * 1000) / Math.max(1, now() - started)
      const left = (training.epochs - epoch + 1) * rows - seen
      return {
        ...{ epoch, epochs: training.epochs, rows: seen, totalRows: rows, rowsPerSecond },
        loss: weightedLoss / Math.max(1, seen),
        secondsLeft: left / Math.max(1, rowsPerSecond),
      }
    }
    const order = orderOf(rows, epoch, training)
    const { failed, progress } = await trainer.epoch({ epoch, order, bounds, stepsBefore: steps }, (progress) =>
      observer.step(report(progress)),
    )
    observer.step(report(progress))
    signal.throwIfAborted()
    if (failed !== undefined) {
      const place = `the loss is not a number at step ${failed + 1} of epoch ${epoch}`
      const advice = `try a learning rate below ${training.learning_rate}`
      if (keeping.kept === undefined) throw new Error(`${place}; ${advice}`)
      log(`warning: ${place}; training ends, and epoch ${keeping.best.epoch} is kept; ${advice}`)
      epoch -= 1
      break
    }
    steps += bounds.length
    const { loss, rowsPerSecond } = report(progress)
    const validation = validate(input.validation, tasks, await trainer.logits(input.validation.encoded))
    const reached = Number.isFinite(validation.loss) ? value(validation) : Number.NaN
    const state = await trainer.read()
    const isBest = keeping.consider(epoch, validation, state)
    history.push({
      epoch,
      loss,
      validation_loss: Number.isFinite(validation.loss) ? validation.loss : null,
      auc: Object.fromEntries(tasks.map(({ name }, task) => [name, validation.auc[task] ?? null])),
    })
    await input.save({ epoch, steps, best: keeping.best, history }, state, isBest ? keeping.kept : undefined)
    observer.epoch({
      ...{ epoch, epochs: training.epochs, loss, rowsPerSecond, best: isBest },
      validationLoss: validation.loss,
      validationAuc: validation.auc,
      selection: { metric, value: reached },
    })
  }
  const { kept, best } = keeping
  if (kept === undefined)
    throw new Error(
      `no epoch has finite predictions on the validation rows; try a learning rate below ${training.learning_rate}`,
    )
  const epochs = best.tasks?.map((task) => task.epoch) ?? []
  const differ = epochs.some((one) => one !== best.epoch)
  const ofTasks = Object.fromEntries(tasks.map(({ name }, task) => [name, epochs[task]!]))
  return {
    epochs: epoch,
    kept: { epoch: best.epoch, metric, value: best.value, ...(differ && { tasks: ofTasks }) },
    history,
    weights: kept,
  }
}

function resumedKeeping({ validation, tasks }: FitInput, { best, kept, logits }: NonNullable<FitInput['resumed']>) {
  return { best, kept, validation: validate(validation, tasks, logits) }
}
