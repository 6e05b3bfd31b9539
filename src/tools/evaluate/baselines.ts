import { foldOf } from '../../base/hash.ts'
import { grouped } from '../../base/terminal.ts'
import { entropyOf } from '../../model/quality/metrics.ts'
import type { RowsSpec } from '../../schemas/rows-spec.ts'
import type { Dataset } from '../data/dataset.ts'
import { chooseCrosses } from './choose-crosses.ts'
import { encodeLinear, type LinearRows, withCrosses } from './linear-rows.ts'
import { fitLogistic } from './logistic.ts'
import { hasSeveral } from './model-fields.ts'
import type { Predictor, PredictorField } from './predictor.ts'
import { groupRows, type TaskRows, taskRows } from './task-rows.ts'

/** Most training rows that a logistic regression is fitted to, and most of the other folds' rows. */
const mostFitted = 400_000
const mostOfFolds = 200_000
/** Most rows that choose its pairs of fields. */
const mostChoosing = 100_000
/** Parts of cross-fitting: of many rows, two leave enough to fit to. */
const foldsOf = (rows: number) => (rows > 2 * mostOfFolds ? 2 : 5)

/** Predictions of logistic regression for a task's rows. */
export interface Baseline {
  predictions: Float64Array
  /** The rows that it was fitted to, for people. */
  fitted: string
  /** The crossed fields that it had, for people: `segment × category`. */
  crossed: string[]
}

/** Awaited after each pass over the rows: time for other work, and for people how far it is. */
export type Watch = (how: string) => Promise<void>

/**
 * Fits logistic regressions on the fields and crossed fields, per task, never to the rows that they predict: to the
 * training part of the split, or, where there is none, to the other folds of the rows' groups. Rejects as `watch`.
 */
export async function logisticBaselines(
  { file, spec }: { file: string; spec: RowsSpec },
  version: Pick<Predictor, 'fields' | 'crossed' | 'tasks'>,
  dataset: Dataset,
  judged: Int32Array,
  judgedTasks: readonly TaskRows[],
  watch: Watch,
): Promise<Map<string, Baseline>> {
  const { train } = dataset.parts
  const baselines = new Map<string, Baseline>()
  // A service may read all features.
  if (version.fields.length === 0) return baselines
  if (train.length > 0 && judged !== train) {
    const fitted = rowsToFit(train)
    const regression = createRegression(version, dataset, Int32Array.from([...fitted, ...judged]))
    const trained = taskRows({ file, spec }, version.tasks, dataset, fitted, groupRows({ groups: undefined }, fitted))
    for (const rows of judgedTasks) {
      const own = trained.find(({ name }) => name === rows.name)
      if (own === undefined || own.positives === 0) continue
      const { predict, crossed } = await regression(own, (how) => watch(`${rows.name}, ${how}`))
      const predictions = Float64Array.from(rows.positions, (position) => predict(fitted.length + position))
      baselines.set(rows.name, {
        predictions,
        fitted: `${fitted.length.toLocaleString('en')} training rows`,
        crossed,
      })
    }
    return baselines
  }
  const regression = createRegression(version, dataset, judged)
  for (const rows of judgedTasks) {
    if (rows.positives === 0) continue
    const by = rows.groups ? 'groups' : 'rows'
    const folds = foldsOf(rows.positions.length)
    const found = await crossFit(regression, rows, folds, watch)
    if (found) baselines.set(rows.name, { ...found, fitted: `the other ${by}, in ${folds} folds` })
  }
  return baselines
}

/** Fits the rows at these positions; `predict` answers any row's probability. */
type Regression = (
  rows: FittedRows,
  watch: Watch,
) => Promise<{ predict: (position: number) => number; crossed: string[] }>

interface FittedRows {
  positions: ArrayLike<number>
  labels: ArrayLike<number>
  weights: ArrayLike<number> | undefined
}

/** Without crossed fields of the version, the regression chooses pairs. */
function createRegression(
  { fields, crossed }: Pick<Predictor, 'fields' | 'crossed'>,
  { cells }: Dataset,
  rows: Int32Array,
): Regression {
  const plain = encodeLinear(fields, cells, rows)
  const given = crossed.flatMap(({ of }) => {
    const parts = of.map((name) => fields.findIndex((field) => field.name === name))
    // The regression has the values of lists, not their combinations.
    return parts.some((index) => hasSeveral(fields[index]!)) ? [] : [parts]
  })
  let known: { key: string; linear: LinearRows } = { key: '[]', linear: plain }
  return async (own, watch) => {
    const { positions, labels, weights } = own
    const crosses = given.length > 0 ? given : await choosePairs(plain, fields, own, watch)
    const key = JSON.stringify(crosses)
    if (key !== known.key) known = { key, linear: withCrosses(plain, crosses) }
    const all = `${grouped(positions.length)} rows`
    const predict = await fitLogistic(known.linear, positions, labels, weights, (passes) =>
      watch(`pass ${passes} over ${all}`),
    )
    return { predict, crossed: crosses.map((parts) => parts.map((index) => fields[index]!.name).join(' × ')) }
  }
}

/** Chooses pairs of fields on some of the rows. */
function choosePairs(
  linear: LinearRows,
  fields: readonly PredictorField[],
  { positions, labels, weights }: FittedRows,
  watch: Watch,
): Promise<[number, number][]> {
  const all = Int32Array.from(positions, (_, i) => i)
  const few = thin(all, mostChoosing)
  const pick = (values: ArrayLike<number>) => Float64Array.from(few, (i) => values[i]!)
  const sampled = [pick(positions), pick(labels), weights && pick(weights)] as const
  return chooseCrosses(linear, fields, ...sampled, () => watch('choosing crossed fields'))
}

/** The training rows that a logistic regression is fitted to. */
export function rowsToFit(train: Int32Array): Int32Array {
  return thin(train, mostFitted)
}

/** Predicts each fold by a fit to the others; undefined if all rows are in one fold. */
async function crossFit(
  regression: Regression,
  { name, positions, labels, weights, buckets }: TaskRows,
  folds: number,
  watch: Watch,
): Promise<Pick<Baseline, 'predictions' | 'crossed'> | undefined> {
  const predictions = new Float64Array(positions.length)
  const all = new Set<string>()
  for (let fold = 0; fold < folds; fold++) {
    const inside: number[] = []
    const others: number[] = []
    for (let i = 0; i < positions.length; i++) (foldOf(buckets[i]!, folds) === fold ? inside : others).push(i)
    // One group is all there is.
    if (others.length === 0) return undefined
    const fitted = thin(Int32Array.from(others), mostOfFolds)
    const { predict, crossed } = await regression(
      {
        positions: fitted.map((i) => positions[i]!),
        labels: fitted.map((i) => labels[i]!),
        weights: weights && Float64Array.from(fitted, (i) => weights[i]!),
      },
      (how) => watch(`${name}, fold ${fold + 1} of ${folds}, ${how}`),
    )
    for (const i of inside) predictions[i] = predict(positions[i]!)
    for (const fields of crossed) all.add(fields)
  }
  return { predictions, crossed: [...all] }
}

/** At most `most` of the rows, evenly spread. */
function thin(rows: Int32Array, most: number): Int32Array {
  if (rows.length <= most) return rows
  return Int32Array.from({ length: most }, (_, i) => rows[Math.floor((i * rows.length) / most)]!)
}

/** Rate of the positives, and logloss of the best constant, weighted. */
export function baseLogloss({ labels, weights }: Pick<TaskRows, 'labels' | 'weights'>): {
  rate: number | null
  logloss: number | null
} {
  let [total, positive] = [0, 0]
  labels.forEach((label, i) => {
    const weight = weights?.[i] ?? 1
    total += weight
    if (label) positive += weight
  })
  if (total === 0) return { rate: null, logloss: null }
  const rate = positive / total
  return { rate, logloss: rate > 0 && rate < 1 ? entropyOf(rate) : null }
}
