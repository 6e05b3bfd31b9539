import { foldOf } from '../../base/hash.ts'
import { entropyOf } from '../../model/quality/metrics.ts'
import type { RowsSpec } from '../../schemas/rows-spec.ts'
import type { Dataset } from '../data/dataset.ts'
import { encodeLinear, fitLogistic, type LinearRows } from './logistic.ts'
import type { PredictorField, PredictorTask } from './predictor.ts'
import { groupRows, type TaskRows, taskRows } from './task-rows.ts'

/** Most rows that a logistic regression is fitted to: more would hardly improve it. */
const mostFitted = 200_000
/** Parts of cross-fitting: of many rows, two leave enough to fit to. */
const foldsOf = (rows: number) => (rows > 2 * mostFitted ? 2 : 5)

/**
 * Predictions of logistic regression for a task's rows, and on what it was fitted; undefined without rows to fit it to.
 */
export interface Baseline {
  predictions: Float64Array
  fitted: string
}

/**
 * Fits logistic regressions on the fields, per task, never to the rows that they predict: to the training part of the
 * split, or, where there is none, to the other folds of the rows' groups.
 */
export function logisticBaselines(
  { file, spec }: { file: string; spec: RowsSpec },
  fields: readonly PredictorField[],
  tasks: readonly PredictorTask[],
  dataset: Dataset,
  judged: Int32Array,
  judgedTasks: readonly TaskRows[],
): Map<string, Baseline> {
  const { train } = dataset.parts
  const baselines = new Map<string, Baseline>()
  if (train.length > 0 && judged !== train) {
    const fitted = rowsToFit(train)
    const both = Int32Array.from([...fitted, ...judged])
    const linear = encodeLinear(fields, dataset.cells, both)
    const trained = taskRows({ file, spec }, tasks, dataset, fitted, groupRows({ groups: undefined }, fitted))
    for (const rows of judgedTasks) {
      const own = trained.find(({ name }) => name === rows.name)
      if (own === undefined || own.positives === 0) continue
      const predict = fitLogistic(linear, own.positions, own.labels, own.weights)
      const predictions = Float64Array.from(rows.positions, (position) => predict(fitted.length + position))
      baselines.set(rows.name, {
        predictions,
        fitted: `${fitted.length.toLocaleString('en')} training rows`,
      })
    }
    return baselines
  }
  const linear = encodeLinear(fields, dataset.cells, judged)
  for (const rows of judgedTasks) {
    if (rows.positives === 0) continue
    const by = rows.groups ? 'groups' : 'rows'
    const folds = foldsOf(rows.positions.length)
    const predictions = crossFit(linear, rows, folds)
    if (predictions) baselines.set(rows.name, { predictions, fitted: `the other ${by}, in ${folds} folds` })
  }
  return baselines
}

/** The training rows that a logistic regression is fitted to. */
export function rowsToFit(train: Int32Array): Int32Array {
  return thin(train, mostFitted)
}

/** Predicts each fold by a fit to the others; undefined if all rows are in one fold. */
function crossFit(
  linear: LinearRows,
  { positions, labels, weights, buckets }: TaskRows,
  folds: number,
): Float64Array | undefined {
  const predictions = new Float64Array(positions.length)
  for (let fold = 0; fold < folds; fold++) {
    const inside: number[] = []
    const others: number[] = []
    for (let i = 0; i < positions.length; i++) (foldOf(buckets[i]!, folds) === fold ? inside : others).push(i)
    // One group is all there is.
    if (others.length === 0) return undefined
    const fitted = thin(Int32Array.from(others), mostFitted)
    const predict = fitLogistic(
      linear,
      fitted.map((i) => positions[i]!),
      fitted.map((i) => labels[i]!),
      weights && Float64Array.from(fitted, (i) => weights[i]!),
    )
    for (const i of inside) predictions[i] = predict(positions[i]!)
  }
  return predictions
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
