import type { Layout } from '../../model/serving/features/layout.ts'
import type { Training, TrainSpec } from '../../schemas/train-spec.ts'
import { unknownIdsOf } from './fields.ts'
import { type FitInput, type FitResult, fit } from './fit.ts'
import type { KeptWeights, OwnPlaces } from './keep-best.ts'
import type { TrainingStep } from './network/training-step.ts'
import type { Examples, Term } from './terms.ts'
import type { Rates } from './threads/adam.ts'
import type { SharedExamples } from './threads/protocol.ts'
import { createTrainer, type TrainingState } from './threads/trainer.ts'
import type { TrainOptions } from './train-options.ts'

export interface FittedNetwork {
  fitted: FitResult
  /** The logits of the validation rows, by the weights that were kept: float32 [rows, tasks]. */
  logits: Float32Array
  /** The weights that were kept, by name; undefined for one that was not trained. */
  valuesOf(name: string): Float32Array | undefined
}

/** The common ground of both parts of a run. */
export interface Common {
  options: TrainOptions
  tasks: TrainSpec['tasks']
  terms: Term[]
  examples: SharedExamples
  /** The validation rows, in shared memory. */
  rows: Examples
  layout: Layout
}

interface PlanOptions {
  values(name: string): Float32Array
  rates: Rates
  own: OwnPlaces[] | undefined
  /** Where to go on; without a state, from the weights that are kept. */
  resumed: (Omit<NonNullable<FitInput['resumed']>, 'logits'> & { state?: TrainingState }) | undefined
  save: FitInput['save']
}

/** Fits the weights of a plan by threads. Rejects like `fit`. */
export async function fitPlan(
  plan: TrainingStep,
  { options, tasks, terms, examples, rows, layout }: Common,
  training: Training,
  { values, rates, own, resumed, save }: PlanOptions,
): Promise<FittedNetwork> {
  const { threads, now, signal, observer, log } = options
  const trainer = await createTrainer({
    ...{ plan, threads, examples, signal, rates, values, seed: training.seed },
    termWeights: terms.map(({ weight }) => weight),
    rowMean: training.loss === 'row_mean',
    largestStep: Math.min(examples.rows, training.batch_size + 2 * threads),
    unknown: { share: training.unknown, ids: unknownIdsOf(layout), crossed: layout.crossed },
  })
  try {
    const logitsOf = async (weights: KeptWeights) => {
      await trainer.write(stateOf(weights, plan))
      return await trainer.logits(rows.encoded)
    }
    const begun = resumed && { ...resumed, logits: await logitsOf(resumed.kept) }
    if (resumed?.state) await trainer.write(resumed.state)
    const fitted = await fit({
      ...{ trainer, tasks, training, own, save, now, signal, observer, log },
      resumed: begun,
      validation: rows,
      rows: examples.rows,
    })
    return { fitted, logits: await logitsOf(fitted.weights), valuesOf: valuesOf(plan, fitted.weights) }
  } finally {
    await trainer.close()
  }
}

/** Where the weights of each task's own lie. */
export function ownPlaces(
  own: readonly ReadonlySet<string>[],
  { parameters, statistics, tables }: TrainingStep,
): OwnPlaces[] {
  return own.map((names) => ({
    places: [...parameters, ...statistics].filter(({ name }) => names.has(name)),
    tables: tables.flatMap(({ name }, index) => (names.has(name) ? [index] : [])),
  }))
}

/** Kept weights have no moments: nothing trains them on. */
function stateOf({ weights, tables }: KeptWeights, { size }: TrainingStep) {
  const none = new Float32Array(0)
  return {
    ...{ weights, first: new Float32Array(size), second: new Float32Array(size) },
    tables: tables.map((values) => ({ values, first: none, second: none })),
  }
}

/** These values, as a plan lays them. */
export function keptOf({ parameters, statistics, tables, size }: TrainingStep, values: (name: string) => Float32Array) {
  const weights = new Float32Array(size)
  for (const { name, offset } of [...parameters, ...statistics]) weights.set(values(name), offset)
  return { weights, tables: tables.map(({ name }) => values(name).slice()) }
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
