import { foldOf } from '../../base/hash.ts'
import { entropyOf } from '../../model/quality/metrics.ts'
import type { RowsSpec } from '../../schemas/rows-spec.ts'
import type { Dataset } from '../data/dataset.ts'
import { chooseCrosses } from './choose-crosses.ts'
import { encodeLinear, type LinearRows, withCrosses } from './linear-rows.ts'
import { fitLogistic } from './logistic.ts'
import type { PredictorField, PredictorTask } from './predictor.ts'
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

/** The fields of a version, as a logistic regression takes them. */
export interface LinearFields {
  fields: readonly PredictorField[]
  /** The version's crossed fields; without any, the regression chooses pairs. */
  crossed: readonly { of: readonly string[] }[]
}

/**
 * Fits logistic regressions on the fields and crossed fields, per task, never to the rows that they predict: to the
 * training part of the split, or, where there is none, to the other folds of the rows' groups.
 */
export function logisticBaselines(
  { file, spec }: { file: string; spec: RowsSpec },
  version: LinearFields,
  tasks: readonly PredictorTask[],
  dataset: Dataset,
  judged: Int32Array,
  judgedTasks: readonly TaskRows[],
): Map<string, Baseline> {
  const { train } = dataset.parts
  const baselines = new Map<string, Baseline>()
  if (train.length > 0 && judged !== train) {
    const fitted = rowsToFit(train)
    const regression = createRegression(version, dataset, Int32Array.from([...fitted, ...judged]))
    const trained = taskRows({ file, spec }, tasks, dataset, fitted, groupRows({ groups: undefined }, fitted))
    for (const rows of judgedTasks) {
      const own = trained.find(({ name }) => name === rows.name)
      if (own === undefined || own.positives === 0) continue
      const { predict, crossed } = regression.fit(own.positions, own.labels, own.weights)
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
    const found = crossFit(regression, rows, folds)
    if (found) baselines.set(rows.name, { ...found, fitted: `the other ${by}, in ${folds} folds` })
  }
  return baselines
}

interface Regression {
  /** Fits the rows at these positions; `predict` answers any row's probability. */
  fit(
    positions: ArrayLike<number>,
    labels: ArrayLike<number>,
    weights: ArrayLike<number> | undefined,
  ): { predict: (position: number) => number; crossed: string[] }
}

function createRegression({ fields, crossed }: LinearFields, { cells }: Dataset, rows: Int32Array): Regression {
  const plain = encodeLinear(fields, cells, rows)
  const named = (crosses: readonly (readonly number[])[]) =>
    crosses.map((parts) => parts.map((index) => fields[index]!.name).join(' × '))
  if (crossed.length > 0) {
    const crosses = crossed.map(({ of }) => of.map((name) => fields.findIndex((field) => field.name === name)))
    const linear = withCrosses(plain, crosses)
    return {
      fit: (positions, labels, weights) => ({
        predict: fitLogistic(linear, positions, labels, weights),
        crossed: named(crosses),
      }),
    }
  }
  let known: { key: string; linear: LinearRows } = { key: '[]', linear: plain }
  return {
    fit(positions, labels, weights) {
      const few = thin(
        Int32Array.from(positions, (_, i) => i),
        mostChoosing,
      )
      const pick = (values: ArrayLike<number>) => Float64Array.from(few, (i) => values[i]!)
      const crosses = chooseCrosses(plain, fields, pick(positions), pick(labels), weights && pick(weights))
      const key = JSON.stringify(crosses)
      if (key !== known.key) known = { key, linear: withCrosses(plain, crosses) }
      return { predict: fitLogistic(known.linear, positions, labels, weights), crossed: named(crosses) }
    },
  }
}

/** The training rows that a logistic regression is fitted to. */
export function rowsToFit(train: Int32Array): Int32Array {
  return thin(train, mostFitted)
}

/** Predicts each fold by a fit to the others; undefined if all rows are in one fold. */
function crossFit(
  regression: Regression,
  { positions, labels, weights, buckets }: TaskRows,
  folds: number,
): Pick<Baseline, 'predictions' | 'crossed'> | undefined {
  const predictions = new Float64Array(positions.length)
  const all = new Set<string>()
  for (let fold = 0; fold < folds; fold++) {
    const inside: number[] = []
    const others: number[] = []
    for (let i = 0; i < positions.length; i++) (foldOf(buckets[i]!, folds) === fold ? inside : others).push(i)
    // One group is all there is.
    if (others.length === 0) return undefined
    const fitted = thin(Int32Array.from(others), mostOfFolds)
    const { predict, crossed } = regression.fit(
      fitted.map((i) => positions[i]!),
      fitted.map((i) => labels[i]!),
      weights && Float64Array.from(fitted, (i) => weights[i]!),
    )
    for (const i of inside) predictions[i] = predict(positions[i]!)
    for (const name of crossed) all.add(name)
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
