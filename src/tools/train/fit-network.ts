import { createHash } from 'node:crypto'
import { ModelError, reasonOf } from '../../base/errors.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import type { Layout } from '../../model/serving/features/layout.ts'
import type { Training, TrainSpec } from '../../schemas/train-spec.ts'
import { type LoadedSpec, SpecError } from '../data/source.ts'
import type { Progress } from '../evaluate/format.ts'
import type { EncodedParts } from './encode-dataset.ts'
import { unknownIdsOf } from './fields.ts'
import { type FitObserver, type FitResult, fit, stepBounds } from './fit.ts'
import type { KeptWeights, OwnPlaces } from './keep-best.ts'
import { logVarianceName, makeTrainingStep } from './network/make-training-step.ts'
import type { Network } from './network/network.ts'
import type { TrainingStep } from './network/training-step.ts'
import { ownWeights } from './own-weights.ts'
import type { RunFolder, RunIdentity } from './run-folder.ts'
import { type Examples, termLabels, termsOf } from './terms.ts'
import type { Rates } from './threads/adam.ts'
import type { SharedExamples } from './threads/protocol.ts'
import { shared } from './threads/shared.ts'
import { createTrainer } from './threads/trainer.ts'

export interface FittedNetwork {
  fitted: FitResult
  /** The logits of the validation rows, by the weights that were kept: float32 [rows, tasks]. */
  logits: Float32Array
  /** The weights that were kept, by name; undefined for one that was not trained. */
  valuesOf(name: string): Float32Array | undefined
}

/** Fits a network by threads. Rejects like `fit`, and with an Error where a run can't go on. */
export async function fitNetwork(
  { spec, file }: LoadedSpec,
  network: Network,
  { train, validation }: Pick<EncodedParts, 'train' | 'validation'>,
  layout: Layout,
  { threads, from, run, resume, now, signal, observer, log }: TrainOptions,
): Promise<FittedNetwork> {
  const { training, tasks } = spec
  const terms = termsOf(tasks)
  const { plan, own } = await planOf(network, {
    terms,
    orderPenalty: training.order_penalty,
    uncertainty: training.task_weights === 'uncertainty',
    adagrad: training.tables === 'adagrad' ? (training.tables_learning_rate ?? adagradRate) : undefined,
  })
  const examples: SharedExamples = {
    ...sharedRows(train),
    terms: terms.map((term) => termLabels(term, tasks, train)),
  }
  const trainer = await createTrainer({
    ...{
      plan,
      threads,
      examples,
      signal,
      rates: ratesOf(file, training, train.encoded.rows, threads),
      seed: training.seed,
    },
    values: (name) => (name === logVarianceName ? new Float32Array(terms.length) : network.values(name)),
    termWeights: terms.map(({ weight }) => weight),
    rowMean: training.loss === 'row_mean',
    largestStep: Math.min(train.encoded.rows, training.batch_size + 2 * threads),
    unknown: { share: training.unknown, ids: unknownIdsOf(layout), crossed: layout.crossed },
  })
  try {
    const start = `${from?.manifest.name ?? ''} ${from?.manifest.version ?? ''}`
    const identity = () => identityOf(spec, threads, `${start} ${digestOf([train, validation])}`)
    const begun = await begin(run, resume, identity, plan, log)
    const rows = sharedRows(validation)
    const logitsOf = async (weights: KeptWeights) => {
      await trainer.write(stateOf(weights, plan))
      return await trainer.logits(rows)
    }
    const resumed = begun && { ...begun, logits: await logitsOf(begun.kept) }
    if (resumed) await trainer.write(resumed.state)
    const fitted = await fit({
      ...{ trainer, tasks, training, resumed, now, signal, observer, log },
      own: own && ownPlaces(own, plan),
      validation: { ...validation, encoded: rows },
      rows: train.encoded.rows,
      save: saver(run, log),
    })
    return { fitted, logits: await logitsOf(fitted.weights), valuesOf: valuesOf(plan, fitted.weights) }
  } finally {
    await trainer.close()
  }
}

/** Adagrad's learning rate where the spec gives none. */
const adagradRate = 0.05

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
  { adagrad, ...loss }: Parameters<typeof makeTrainingStep>[1] & { adagrad: number | undefined },
): Promise<{ plan: TrainingStep; own: Set<string>[] | undefined }> {
  try {
    const opened = await network.open()
    // Before the graphs are changed.
    const own = ownWeights(opened.inference, opened.logits, loss.terms.length)
    return { plan: await makeTrainingStep(opened, loss, adagrad), own }
  } catch (cause) {
    if (!(cause instanceof ModelError)) throw cause
    throw new ModelError(cause.code, `${network.title} can't be trained: ${cause.message}`, { cause })
  }
}

function ownPlaces(own: readonly Set<string>[], { parameters, statistics, tables }: TrainingStep): OwnPlaces[] {
  return own.map((names) => ({
    places: [...parameters, ...statistics].filter(({ name }) => names.has(name)),
    tables: tables.flatMap(({ name }, index) => (names.has(name) ? [index] : [])),
  }))
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
function saver(run: RunFolder | undefined, log: TrainOptions['log']): Parameters<typeof fit>[0]['save'] {
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
    add(encoded.sparse)
    add(encoded.dense)
    for (const values of labels) add(values)
    if (weights) add(weights)
  }
  return hash.digest('hex')
}

function sharedRows({ encoded }: Examples) {
  return { ...encoded, sparse: shared(encoded.sparse), dense: shared(encoded.dense) }
}

/** Kept weights have no moments: nothing trains them on. */
function stateOf({ weights, tables }: KeptWeights, { size }: TrainingStep) {
  const none = new Float32Array(0)
  return {
    ...{ weights, first: new Float32Array(size), second: new Float32Array(size) },
    tables: tables.map((values) => ({ values, first: none, second: none })),
  }
}

function valuesOf({ parameters, statistics, tables }: TrainingStep, kept: KeptWeights): FittedNetwork['valuesOf'] {
  const places = new Map([...parameters, ...statistics].map((place) => [place.name, place]))
  const indexes = new Map(tables.map(({ name, trained }, i) => [name, trained ? i : -1]))
  return (name) => {
    const place = places.get(name)
    if (place) return kept.weights.subarray(place.offset, place.offset + place.size)
    const table = indexes.get(name) ?? -1
    return table < 0 ? undefined : kept.tables[table]
  }
}

export interface TrainOptions {
  /** Folder of models; the version goes to `<models>/<name>/<version>`. */
  models: string
  /** Replace a version that is there already. */
  force: boolean
  /** Threads; the weights depend on their number. */
  threads: number
  /** The version to go on from; undefined: initial weights. */
  from: Bundle | undefined
  /** Where an interrupted run can go on; undefined: nowhere. */
  run: RunFolder | undefined
  /** Go on with the run in `run`. */
  resume: boolean
  /** For the manifest's provenance. */
  command: string
  multigateVersion: string
  /** Milliseconds since 1970. */
  now: () => number
  signal: AbortSignal
  observer: FitObserver
  /** The progress of all but the epochs. */
  progress?: Progress | undefined
  /** Folder of compiled plans, for judging the version. */
  cache: string | undefined
  /** Judge by metrics and their intervals alone: no baselines, slices or distributions. */
  brief?: boolean
  log(line: string): void
}
