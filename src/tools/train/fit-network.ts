import { createHash } from 'node:crypto'
import { ModelError, reasonOf } from '../../base/errors.ts'
import type { Layout } from '../../model/serving/features/layout.ts'
import type { Training, TrainSpec } from '../../schemas/train-spec.ts'
import { arraysOf } from '../data/packed-rows.ts'
import { type LoadedSpec, SpecError } from '../data/source.ts'
import type { EncodedParts } from './encode-dataset.ts'
import { type FitInput, stepBounds } from './fit.ts'
import { type Common, type FittedNetwork, fitPlan, keptOf, ownPlaces } from './fit-plan.ts'
import { logVarianceName, makeTrainingStep, type TrainableGraph } from './network/make-training-step.ts'
import type { Network } from './network/network.ts'
import type { TrainingStep } from './network/training-step.ts'
import { freezeShared, type OwnWeights, ownWeights } from './own-weights.ts'
import { paddingRows } from './padding-rows.ts'
import type { RunFolder, RunIdentity } from './run-folder.ts'
import { validate } from './selection.ts'
import { type Examples, termLabels, termsOf } from './terms.ts'
import type { Rates } from './threads/adam.ts'
import { shared } from './threads/shared.ts'
import type { TrainOptions } from './train-options.ts'

/**
 * Fits a network by threads; then, where `task_epochs` ask for it, each task's own layers on top of the shared ones'
 * best epoch. Rejects like `fit`, and with an Error where a run can't go on.
 */
export async function fitNetwork(
  { spec, file }: LoadedSpec,
  network: Network,
  { train, validation }: Pick<EncodedParts, 'train' | 'validation'>,
  layout: Layout,
  options: TrainOptions,
): Promise<FittedNetwork> {
  const { training, tasks } = spec
  const { threads, from, run, resume, log } = options
  const terms = termsOf(tasks)
  const rows = { ...validation, encoded: sharedRows(validation) }
  const common: Common = {
    ...{ options, tasks, terms, rows, layout },
    examples: { ...sharedRows(train), terms: terms.map((term) => termLabels(term, tasks, train)) },
  }
  const isUncertain = training.task_weights === 'uncertainty'
  const { plan, own } = await planOf(
    network,
    spec,
    { learnt: from !== undefined, uncertainty: isUncertain, layout },
    (opened) => opened,
  )
  const start = `${from?.manifest.name ?? ''} ${from?.manifest.version ?? ''}`
  const identity = () => identityOf(spec, threads, `${start} ${digestOf([train, validation])}`)
  const begun = await begin(run, resume, identity, plan, log)
  const fitted = await fitPlan(plan, common, training, {
    values: (name) => (name === logVarianceName ? new Float32Array(terms.length) : network.values(name)),
    rates: ratesOf(file, training, train.encoded.rows, threads),
    own: own?.apart ? ownPlaces(own.own, plan) : undefined,
    resumed: begun,
    save: saver(run, log),
  })
  if (training.task_epochs === undefined) return fitted
  if (own === undefined || own.apart) {
    log(`task_epochs change nothing: ${network.title} has ${own ? 'no shared layers' : 'no layers of a task alone'}`)
    return fitted
  }
  return await fitOwn({ spec, file }, network, own, fitted, common)
}

/**
 * Goes on with each task's own layers, on top of the shared ones that were kept, for at most `task_epochs`: a task
 * keeps its own best epoch, or what it has. An interrupted run takes all of these epochs again.
 */
async function fitOwn(
  { spec, file }: LoadedSpec,
  network: Network,
  own: OwnWeights,
  before: FittedNetwork,
  common: Common,
): Promise<FittedNetwork> {
  const { fitted, logits, valuesOf } = before
  const { tasks, options, rows: validation, examples, layout } = common
  const { log, threads } = options
  const { plan } = await planOf(network, spec, { learnt: true, uncertainty: false, layout }, (opened) =>
    freezeShared(opened, own, valuesOf),
  )
  const dense = plan.parameters.reduce((sum, { size }) => sum + size, 0)
  const rows = plan.tables.reduce((sum, { trained, rows, width }) => sum + (trained ? rows * width : 0), 0)
  if (dense + rows === 0) {
    log('task_epochs change nothing: no weight of a task alone is trained')
    return before
  }
  log(`the shared weights keep epoch ${fitted.kept.epoch}; each task goes on with its own, ${dense + rows} in all`)
  const more = spec.training.task_epochs!
  const training = { ...spec.training, epochs: fitted.epochs + more }
  const values = (name: string) => valuesOf(name) ?? network.values(name)
  const { loss, normalised_entropy } = validate(validation, tasks, logits)
  const { epoch, value } = fitted.kept
  const best = { epoch, value, waited: 0 }
  const found = await fitPlan(plan, common, training, {
    values,
    rates: ratesOf(file, { ...training, epochs: more, warm_up: 0 }, examples.rows, threads),
    own: ownPlaces(own.own, plan),
    resumed: {
      ...{ epoch: fitted.epochs, steps: 0, history: fitted.history, kept: keptOf(plan, values) },
      best: { ...best, tasks: tasks.map((_, task) => ({ ...best, value: normalised_entropy[task] ?? loss })) },
    },
    save: async () => undefined,
  })
  return { ...found, valuesOf: (name) => found.valuesOf(name) ?? valuesOf(name) }
}

/** Adagrad's learning rates without one in the spec: its sums begin at 0, even for rows that have learnt. */
const adagradRates = { start: 0.05, learnt: 0.005 }

/** Throws a SpecError where the warm-up is longer than the run. */
function ratesOf(file: string, training: Training, rows: number, threads: number): Rates {
  const { learning_rate: learningRate, warm_up: warmUp, weight_decay: weightDecay, epochs, schedule } = training
  const steps = epochs * stepBounds(rows, training.batch_size, 2 * threads).length
  if (warmUp > steps) {
    const message = `${warmUp} steps are more than the ${steps} of the whole run`
    throw new SpecError(file, [{ path: '/training/warm_up', message }])
  }
  return { learningRate, warmUp, weightDecay, cosine: schedule === 'cosine' ? steps : undefined }
}

async function planOf(
  network: Network,
  { training, tasks }: TrainSpec,
  { learnt, uncertainty, layout }: { learnt: boolean; uncertainty: boolean; layout: Layout },
  change: (opened: TrainableGraph) => TrainableGraph,
): Promise<{ plan: TrainingStep; own: OwnWeights | undefined }> {
  const { order_penalty: orderPenalty, tables, tables_learning_rate: asked } = training
  const rate = asked ?? (learnt ? adagradRates.learnt : adagradRates.start)
  try {
    const opened = change(await network.open())
    // Before the graphs are changed.
    const own = ownWeights(opened, tasks.length)
    const loss = { terms: termsOf(tasks), orderPenalty, uncertainty }
    const plan = await makeTrainingStep(opened, loss, tables === 'adagrad' ? rate : undefined)
    return { plan: withPadding(plan, layout), own }
  } catch (cause) {
    if (!(cause instanceof ModelError)) throw cause
    throw new ModelError(cause.code, `${network.title} can't be trained: ${cause.message}`, { cause })
  }
}

/** Keeps penalties from rows of padding. */
function withPadding(plan: TrainingStep, layout: Layout): TrainingStep {
  const rowsOf = paddingRows(layout)
  return { ...plan, tables: plan.tables.map((table) => ({ ...table, padding: rowsOf(table.name) })) }
}

async function begin(
  run: RunFolder | undefined,
  resume: boolean,
  identity: () => RunIdentity,
  plan: TrainingStep,
  log: TrainOptions['log'],
) {
  if (run === undefined) return undefined
  if (!resume) {
    if (run.unfinished) log(`starting from the beginning; --resume would go on with the unfinished run in ${run.path}`)
    // A folder that can't be written is reported when the first epoch is saved.
    await run.start(identity()).catch((error) => {
      if (error instanceof ModelError) throw error
    })
    return undefined
  }
  const resumed = await run.resume(identity(), plan)
  log(`going on after epoch ${resumed.epoch}, from ${run.path}`)
  return resumed
}

/** A run that can't be saved goes on: it can't be resumed, which is said once. */
function saver(run: RunFolder | undefined, log: TrainOptions['log']): FitInput['save'] {
  let works = run !== undefined
  return async (progress, state, kept) => {
    if (!works) return
    try {
      await run!.save(progress, state, kept)
    } catch (error) {
      works = false
      log(`warning: the run can't be saved, and not be resumed: ${reasonOf(error)}`)
      await run!.remove().catch(() => undefined)
    }
  }
}

/** The properties that must be the same for a run to go on. */
function identityOf(spec: TrainSpec, threads: number, data: string): RunIdentity {
  return { spec: JSON.stringify(spec), 'number of threads': `${threads}`, data }
}

function digestOf(parts: readonly Examples[]): string {
  const hash = createHash('sha256')
  const add = ({ buffer, byteOffset, byteLength }: NodeJS.TypedArray) => {
    const step = 2 ** 24
    // The hash takes no shared memory.
    for (let start = 0; start < byteLength; start += step)
      hash.update(Buffer.from(new Uint8Array(buffer, byteOffset + start, Math.min(step, byteLength - start))))
  }
  for (const { encoded, labels, weights } of parts) {
    for (const values of arraysOf(encoded)) add(values)
    for (const values of labels) add(values)
    if (weights) add(weights)
  }
  return hash.digest('hex')
}

function sharedRows({ encoded }: Examples) {
  return { ...encoded, sparse: shared(encoded.sparse), dense: shared(encoded.dense) }
}
