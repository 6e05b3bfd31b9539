import { foldOf } from '../../../base/hash.ts'
import type { Calibration } from '../../../schemas/manifest.ts'
import type { CalibrationMethod } from '../../../schemas/train-spec.ts'
import { lossOf } from '../../quality/metrics.ts'
import { rank } from '../../quality/ranking.ts'
import { createCalibrator, logit, sigmoid } from './calibrator.ts'

/** Positives, and negatives, that a calibration needs: it would follow the chance of fewer. */
export const leastOfClass = 50

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
 * Fits a calibration. `auto` is isotonic where there are enough positives and it has the lower log-loss on held-out
 * halves, else platt. Undefined where the calibration would reverse or flatten the ranking.
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

/** More steps than Newton's method needs for a convex function of two numbers. */
const maxSteps = 50
/**
 * Ridge on the second derivatives, of rows of weight 1, so that a step exists if the logits are separable or constant.
 */
const ridge = 1e-6

/**
 * Platt scaling: fits a and b of σ(a · logit + b) to held-out rows by Newton's method, minimising logloss with smoothed
 * targets (Platt 1999), which keep a and b finite on separable rows. With a single class: a = 1, b = 0. Undefined
 * unless a > 0: a weak task may otherwise get a calibration that reverses or flattens its ranking. `weights`: ≥ 0,
 * default 1 per row; their unit does not matter.
 */
export function fitPlatt(
  labels: ArrayLike<number>,
  logits: ArrayLike<number>,
  weights?: ArrayLike<number>,
): Extract<Calibration, { method: 'platt' }> | undefined {
  const weightOf = (i: number) => (weights ? weights[i]! : 1)
  const positives = effectiveRows(labels.length, (i) => (labels[i] ? weightOf(i) : 0))
  const negatives = effectiveRows(labels.length, (i) => (labels[i] ? 0 : weightOf(i)))
  if (positives === 0 || negatives === 0) return { method: 'platt', a: 1, b: 0 }
  const high = (positives + 1) / (positives + 2)
  const low = 1 / (negatives + 2)

  let total = 0
  for (let i = 0; i < labels.length; i++) total += weightOf(i)
  const damping = (ridge * total) / labels.length

  let a = 1
  let b = 0
  let loss = lossOf(a, b)
  for (let step = 0; step < maxSteps; step++) {
    let [ga, gb, haa, hab, hbb] = [0, 0, damping, 0, damping]
    for (let i = 0; i < labels.length; i++) {
      const z = logits[i]!
      const p = sigmoid(a * z + b)
      const error = weightOf(i) * (p - (labels[i] ? high : low))
      const curvature = weightOf(i) * p * (1 - p)
      ga += error * z
      gb += error
      haa += curvature * z * z
      hab += curvature * z
      hbb += curvature
    }
    const determinant = haa * hbb - hab * hab
    const da = (hbb * ga - hab * gb) / determinant
    const db = (haa * gb - hab * ga) / determinant
    // Halve the step until the loss falls.
    let size = 1
    let next = lossOf(a - da, b - db)
    while (!(next <= loss) && size > 1e-10) {
      size /= 2
      next = lossOf(a - size * da, b - size * db)
    }
    if (!(next <= loss)) break
    a -= size * da
    b -= size * db
    const gain = loss - next
    loss = next
    if (gain <= 1e-12 * Math.abs(loss)) break
  }
  return a > 0 ? { method: 'platt', a, b } : undefined

  function lossOf(a: number, b: number): number {
    let sum = 0
    for (let i = 0; i < labels.length; i++) {
      const z = a * logits[i]! + b
      sum += weightOf(i) * (Math.max(z, 0) - z * (labels[i] ? high : low) + Math.log1p(Math.exp(-Math.abs(z))))
    }
    return sum
  }
}

type Isotonic = Extract<Calibration, { method: 'isotonic' }>

/** Most points of a calibration: more would not change it visibly. */
const mostPoints = 256
/** Rows of a step, at least; of few rows, a tenth of them. */
const leastRows = 50

/** Rows that share one calibrated probability. */
export interface Block {
  /** Σ weight, Σ weight · probability, Σ weight of positives. */
  weight: number
  probability: number
  positive: number
}

/**
 * Isotonic regression (pool adjacent violators; Zadrozny and Elkan 2002): the non-decreasing function of the
 * probability that is closest to the labels, drawn through the means of its steps. Its values stay half a row away from
 * 0 and 1, so that no log-loss is infinite. Undefined unless there are two steps: then nothing is ranked.
 */
export function fitIsotonic(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  weights?: ArrayLike<number>,
): Isotonic | undefined {
  const weightOf = (i: number) => (weights ? weights[i]! : 1)
  const rows = effectiveRows(labels.length, weightOf)
  const blocks = poolAdjacent(labels, probabilities, weights)
  const total = blocks.reduce((sum, block) => sum + block.weight, 0)
  const points = thin(blocks, total * Math.min(leastRows / rows, 0.1))
  const least = 0.5 / rows
  const x: number[] = []
  const y: number[] = []
  for (const block of points) {
    const at = block.probability / block.weight
    if (x.length > 0 && at <= x.at(-1)!) continue
    x.push(at)
    y.push(Math.min(1 - least, Math.max(least, rateOf(block))))
  }
  return x.length < 2 ? undefined : { method: 'isotonic', x, y }
}

/** The steps of the isotonic regression, lowest first. */
export function poolAdjacent(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  weights?: ArrayLike<number>,
): Block[] {
  const order = rank(probabilities)
  const blocks: Block[] = []
  for (let start = 0, end = 0; start < order.length; start = end) {
    const block = { weight: 0, probability: 0, positive: 0 }
    for (; end < order.length && probabilities[order[end]!] === probabilities[order[start]!]; end++) {
      const row = order[end]!
      const weight = weights ? weights[row]! : 1
      block.weight += weight
      block.probability += weight * probabilities[row]!
      if (labels[row]) block.positive += weight
    }
    if (block.weight === 0) continue
    blocks.push(block)
    // A step that is not higher than the one before is one with it.
    while (blocks.length > 1 && rateOf(blocks.at(-1)!) <= rateOf(blocks.at(-2)!)) {
      const last = blocks.pop()!
      const before = blocks.at(-1)!
      before.weight += last.weight
      before.probability += last.probability
      before.positive += last.positive
    }
  }
  return blocks
}

const rateOf = ({ positive, weight }: Block) => positive / weight

/**
 * At most `mostPoints` blocks, each of at least the weight `least`: neighbours are merged, which keeps them ascending.
 * A step of a few rows at an end would otherwise set what many predictions become.
 */
function thin(blocks: readonly Block[], least: number): readonly Block[] {
  const heavy: Block[] = []
  let open: Block | undefined
  for (const block of blocks) {
    open = open ? merge(open, block) : block
    if (open.weight < least) continue
    heavy.push(open)
    open = undefined
  }
  if (open) heavy.push(merge(heavy.pop() ?? noRows, open))
  if (heavy.length <= mostPoints) return heavy
  const step = heavy.length / mostPoints
  return Array.from({ length: mostPoints }, (_, i) =>
    heavy.slice(Math.floor(i * step), Math.floor((i + 1) * step)).reduce(merge),
  )
}

const noRows: Block = { weight: 0, probability: 0, positive: 0 }

function merge(a: Block, b: Block): Block {
  return {
    weight: a.weight + b.weight,
    probability: a.probability + b.probability,
    positive: a.positive + b.positive,
  }
}

/**
 * How many rows of equal weight would tell as much as rows of these weights: (Σ weight)² ÷ Σ weight² (Kish, Survey
 * Sampling, 1965); 0 without weight. Whatever the weights' unit, it is at most the number of rows.
 */
export function effectiveRows(rows: number, weightOf: (row: number) => number): number {
  let [sum, squares] = [0, 0]
  for (let row = 0; row < rows; row++) {
    sum += weightOf(row)
    squares += weightOf(row) ** 2
  }
  return squares === 0 ? 0 : sum ** 2 / squares
}
