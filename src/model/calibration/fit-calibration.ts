import type { Calibration } from '../../schemas/manifest.ts'
import type { CalibrationMethod } from '../../schemas/train-spec.ts'
import { foldOf } from '../base/scatter.ts'
import { lossOf } from '../quality/metrics.ts'
import { createCalibrator, logit } from './calibrator.ts'
import { fitIsotonic } from './fit-isotonic.ts'
import { fitPlatt } from './fit-platt.ts'

/** Positives from which `auto` tries isotonic regression, which has many more parameters. */
export const isotonicPositives = 1000

/** Rows to fit a calibration to. */
export interface CalibrationRows {
  /** 1 or 0. */
  labels: Uint8Array
  /** Values to calibrate: probabilities of a task, or products of a derived one. */
  probabilities: Float64Array
  /** ≥ 0; default: 1 per row. */
  weights?: Float64Array | undefined
  /** Per row, any number; rows of one number fall into one half. */
  buckets: ArrayLike<number>
}

/**
 * Fits a calibration. `auto` is isotonic where there are enough positives and it has the lower log-loss on held-out halves, else platt.
 * Undefined where the calibration would reverse or flatten the ranking.
 */
export function fitCalibration(method: CalibrationMethod, rows: CalibrationRows): Calibration | undefined {
  if (method === 'platt') return platt(rows)
  if (method === 'isotonic') return isotonic(rows)
  const positives = rows.labels.reduce((sum, label) => sum + label, 0)
  if (positives < isotonicPositives) return platt(rows)
  return heldOutLoss(isotonic, rows) < heldOutLoss(platt, rows) ? isotonic(rows) : platt(rows)
}

type Fit = (rows: CalibrationRows) => Calibration | undefined

function platt({ labels, probabilities, weights }: CalibrationRows): Calibration | undefined {
  return fitPlatt(labels, probabilities.map(logit), weights)
}

/** It can draw a curve through any rows: whether they rise at all, platt says. */
function isotonic({ labels, probabilities, weights }: CalibrationRows): Calibration | undefined {
  if (platt({ labels, probabilities, weights, buckets: [] }) === undefined) return undefined
  return fitIsotonic(labels, probabilities, weights)
}

/** Log-loss of calibrations fitted to one half of the rows on the other; infinite where one can't be fitted. */
function heldOutLoss(fit: Fit, rows: CalibrationRows): number {
  let loss = 0
  for (const half of [0, 1] as const) {
    const calibration = fit(halfOf(rows, half))
    if (calibration === undefined) return Number.POSITIVE_INFINITY
    const calibrate = createCalibrator(calibration)
    const other = halfOf(rows, half === 0 ? 1 : 0)
    other.labels.forEach((label, i) => {
      loss += (other.weights?.[i] ?? 1) * lossOf(label, calibrate(other.probabilities[i]!))
    })
  }
  return loss
}

/** The rows of one half of the buckets, each half with rows of both folds of two. */
export function halfOf(rows: CalibrationRows, half: 0 | 1): CalibrationRows {
  const kept = rows.labels.map((_, i) => (foldOf(rows.buckets[i]!, 4) >> 1 === half ? 1 : 0))
  const inside = (_: number, i: number) => kept[i] === 1
  return {
    labels: rows.labels.filter(inside),
    probabilities: rows.probabilities.filter(inside),
    weights: rows.weights?.filter(inside),
    buckets: Array.from(rows.buckets).filter(inside),
  }
}
