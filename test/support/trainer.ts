import type { Test } from 'tap'
import type { ModelShape } from '../../src/model/graph/architectures/layers.ts'
import type { ArchitectureOptions } from '../../src/schemas/architecture.ts'
import { createArchitecture } from '../../src/tools/train/network/layers-network.ts'
import { makeTrainingStep } from '../../src/tools/train/network/make-training-step.ts'
import { type Term, type TermLabels, termLabels } from '../../src/tools/train/terms.ts'
import type { Rates } from '../../src/tools/train/threads/adam.ts'
import type { StepBounds } from '../../src/tools/train/threads/protocol.ts'
import { shared } from '../../src/tools/train/threads/shared.ts'
import { createTrainer, type TrainerOptions } from '../../src/tools/train/threads/trainer.ts'

export interface TrainedRows {
  sparse: Int32Array
  dense: Float32Array
  /** Per task. */
  labels: Int8Array[]
  weights?: Float32Array
}

export interface TrainerSetup extends Partial<Pick<TrainerOptions, 'threads' | 'seed' | 'unknown'>> {
  learningRate?: number
  rates?: Omit<Rates, 'learningRate'>
  /** Learning rate of row-wise Adagrad; default: Adam. */
  adagrad?: number
  architecture: ArchitectureOptions
  shape: ModelShape
  rows: TrainedRows
  /** Default: one per task, of weight 1. */
  terms?: Term[]
  orderPenalty?: number
  uncertainty?: boolean
  signal?: AbortSignal
}

/** A network of a built-in architecture in training, with all rows in one step; it ends with the test. */
export async function openTrainer(t: Test, setup: TrainerSetup) {
  const { architecture, shape, rows, threads = 1, orderPenalty = 0, uncertainty = false } = setup
  const terms = setup.terms ?? rows.labels.map((_, task) => ({ factors: [task], weight: 1 }))
  const network = createArchitecture(architecture, shape)
  const plan = await makeTrainingStep(await network.open(), { terms, orderPenalty, uncertainty }, setup.adagrad)
  const count = rows.labels[0]!.length
  const plain = terms.map(() => ({}))
  const encoded = {
    rows: count,
    sparse: shared(rows.sparse),
    dense: shared(rows.dense),
    sparseFields: shape.sparseFields,
    denseFields: shape.denseFields,
  }
  const labels: TermLabels[] = terms.map((term) => termLabels(term, plain, rows))
  const trainer = await createTrainer({
    ...{ plan, threads, seed: setup.seed ?? 1 },
    rates: { learningRate: setup.learningRate ?? 0.01, ...setup.rates },
    examples: { ...encoded, terms: labels },
    values: (name) => (name.startsWith('loss/') ? new Float32Array(terms.length) : network.values(name)),
    termWeights: terms.map(({ weight }) => weight),
    largestStep: count,
    unknown: setup.unknown ?? { share: 0, ids: new Int32Array(shape.sparseFields).fill(-1) },
    signal: setup.signal ?? new AbortController().signal,
  })
  t.teardown(() => trainer.close())
  const order = Int32Array.from({ length: count }, (_, row) => row)
  let stepsBefore = 0
  /** Takes an epoch of steps on these rows; returns the mean of their losses, by rows. */
  async function epoch(bounds: StepBounds[]): Promise<number> {
    const { progress, failed } = await trainer.epoch({ epoch: 1, order, bounds, stepsBefore }, () => undefined)
    stepsBefore += bounds.length
    const read = bounds.reduce((sum, { start, end }) => sum + end - start, 0)
    return failed === undefined ? progress.weightedLoss / read : Number.NaN
  }
  return {
    ...{ trainer, network, plan, encoded, epoch },
    /** Takes a step on all rows; returns its loss. */
    step: () => epoch([{ start: 0, end: count }]),
    logits: () => trainer.logits(encoded),
  }
}
