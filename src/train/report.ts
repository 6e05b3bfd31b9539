import { formatTable } from '../model/base/text-table.ts'
import {
  auc,
  calibrationRatio,
  expectedCalibrationError,
  logloss,
  normalisedEntropy,
  sum,
} from '../model/quality/metrics.ts'
import type { TaskQuality } from '../schemas/manifest.ts'
import type { TrainSpec } from '../schemas/train-spec.ts'
import type { Dataset } from './dataset.ts'
import type { FitResult } from './fit.ts'

/** Quality of one task or derived task on the test rows. */
export interface TaskReport {
  name: string
  quality: TaskQuality
  /** Expected calibration error over ten equal-mass bins; null without rows. */
  calibrationError: number | null
}

/** Served probabilities of the test rows (calibrated, composed), per task and derived task. */
export type Predictions = Record<string, ArrayLike<number>>

/**
 * Compares predictions of the test rows with the labels. A task is judged on its sample space. A derived task is judged on the
 * rows with a known label: 0 if one factor's label is 0, 1 if all are 1.
 */
export function reportQuality(spec: TrainSpec, dataset: Dataset, predictions: Predictions): TaskReport[] {
  const index = new Map(spec.tasks.map(({ name }, task) => [name, task]))
  const taskReports = spec.tasks.map(({ name }, task) =>
    judge(name, (row) => dataset.labels[task]![row]!, predictions[name]!, dataset.parts.test, dataset.oracles[task]),
  )
  const derivedReports = spec.derived.map(({ name, product }) => {
    const factors = product.map((factor) => index.get(factor)!)
    const oracles = factors.map((task) => dataset.oracles[task])
    const label = (row: number) => productLabel(factors.map((task) => dataset.labels[task]![row]!))
    const oracle = oracles.every((values) => values !== undefined) ? multiply(oracles, dataset.rows) : undefined
    return judge(name, label, predictions[name]!, dataset.parts.test, oracle)
  })
  return [...taskReports, ...derivedReports]
}

/** 1, 0, or −1 if unknown. */
function productLabel(labels: number[]): number {
  if (labels.includes(0)) return 0
  return labels.includes(-1) ? -1 : 1
}

function judge(
  name: string,
  label: (row: number) => number,
  predictions: ArrayLike<number>,
  rows: Int32Array,
  oracle: Float64Array | undefined,
): TaskReport {
  const labels: number[] = []
  const values: number[] = []
  const truths: number[] = []
  rows.forEach((row, i) => {
    if (label(row) < 0) return
    labels.push(label(row))
    values.push(predictions[i]!)
    if (oracle) truths.push(oracle[row]!)
  })
  const quality: TaskQuality = {
    rows: labels.length,
    positives: sum(labels),
    auc: auc(labels, values),
    logloss: logloss(labels, values),
    normalised_entropy: normalisedEntropy(labels, values),
    calibration_ratio: calibrationRatio(labels, values),
  }
  const oracleAuc = oracle && auc(labels, truths)
  const oracleLogloss = oracle && logloss(labels, truths)
  if (typeof oracleAuc === 'number') quality.oracle_auc = oracleAuc
  if (typeof oracleLogloss === 'number') quality.oracle_logloss = oracleLogloss
  return { name, quality, calibrationError: expectedCalibrationError(labels, values) }
}

/** The report as a table of text. */
export function formatReport(reports: readonly TaskReport[]): string {
  const withOracle = reports.some(({ quality }) => quality.oracle_auc !== undefined)
  const header = ['task', 'rows', 'positives', 'AUC', 'logloss', 'NE', 'calibration', 'ECE']
  const lines = reports.map(({ name, quality, calibrationError }) => [
    name,
    String(quality.rows),
    String(quality.positives),
    format(quality.auc, 4),
    format(quality.logloss, 5),
    format(quality.normalised_entropy, 4),
    format(quality.calibration_ratio, 3),
    format(calibrationError, 5),
    ...(withOracle ? [format(quality.oracle_auc, 4), format(quality.oracle_logloss, 5)] : []),
  ])
  return formatTable([...header, ...(withOracle ? ['oracle AUC', 'oracle logloss'] : [])], lines)
}

/** Which epoch's weights were kept, and why. */
export function formatKept({ epochs, kept }: FitResult): string {
  return `kept epoch ${kept.epoch} of ${epochs}, the best on the validation rows: ${kept.metric} ${format(kept.value, 5)}`
}

export function format(value: number | null | undefined, digits: number): string {
  return value === null || value === undefined ? '–' : value.toFixed(digits)
}

/** Elementwise product of columns of `rows` values. */
export function multiply(factors: readonly ArrayLike<number>[], rows: number): Float64Array {
  const product = new Float64Array(rows).fill(1)
  for (const factor of factors) for (let row = 0; row < rows; row++) product[row]! *= factor[row]!
  return product
}
