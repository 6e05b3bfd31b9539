import { sum } from '../../model/quality/metrics.ts'
import { sigmoid } from '../../model/serving/calibration/calibrator.ts'
import type { LinearRows } from './linear-rows.ts'

/** Penalty on the squares of the weights, in rows; chosen on census-income and ads-funnel. */
export const ridge = 2
/**
 * Fits a logistic regression to rows, with a ridge, by L-BFGS (Liu and Nocedal 1989) from the second derivatives at the
 * base rate: the order of the rows does not matter, and the mean prediction is the rows' rate. `positions`: which rows
 * of `rows`; `labels` and `sampleWeights`: per position. Returns the probability of any row.
 */
export function fitLogistic(
  rows: LinearRows,
  positions: ArrayLike<number>,
  labels: ArrayLike<number>,
  sampleWeights: ArrayLike<number> | undefined,
): (position: number) => number {
  const { weights: count, places, values, fields, crossed, crosses } = rows
  const weights = new Float64Array(count + 1)
  const total = sampleWeights ? sum(sampleWeights) : positions.length
  const scale = positions.length / total
  const weightOf = (i: number) => (sampleWeights ? scale * sampleWeights[i]! : 1)
  let positive = 0
  for (let i = 0; i < positions.length; i++) if (labels[i]) positive += weightOf(i)
  const base = Math.min(0.999999, Math.max(0.000001, positive / positions.length))
  weights[count] = Math.log(base / (1 - base))
  const scoreOf = (weights: Float64Array, position: number) => {
    let score = weights[count]!
    for (let at = position * fields, end = at + fields; at < end; at++) score += weights[places[at]!]! * values[at]!
    for (let at = position * crosses, end = at + crosses; at < end; at++) score += weights[crossed[at]!]!
    return score
  }
  const lossAt = (weights: Float64Array) => {
    const gradient = new Float64Array(count + 1)
    let loss = 0
    for (let place = 0; place < count; place++) {
      loss += (ridge * weights[place]! ** 2) / 2
      gradient[place] = ridge * weights[place]!
    }
    for (let i = 0; i < positions.length; i++) {
      const score = scoreOf(weights, positions[i]!)
      const signed = labels[i] ? -score : score
      loss += weightOf(i) * (Math.max(0, signed) + Math.log1p(Math.exp(-Math.abs(signed))))
      const error = weightOf(i) * (sigmoid(score) - (labels[i] ? 1 : 0))
      gradient[count]! += error
      const start = positions[i]! * fields
      for (let at = start; at < start + fields; at++) gradient[places[at]!]! += error * values[at]!
      const first = positions[i]! * crosses
      for (let at = first; at < first + crosses; at++) gradient[crossed[at]!]! += error
    }
    return { loss, gradient }
  }
  const curvature = new Float64Array(count + 1).fill(ridge)
  for (let i = 0; i < positions.length; i++) {
    const ofRow = weightOf(i) * base * (1 - base)
    curvature[count]! += ofRow
    const start = positions[i]! * fields
    for (let at = start; at < start + fields; at++) curvature[places[at]!]! += ofRow * values[at]! ** 2
    const first = positions[i]! * crosses
    for (let at = first; at < first + crosses; at++) curvature[crossed[at]!]! += ofRow
  }
  minimise(lossAt, weights, curvature)
  return (position) => sigmoid(scoreOf(weights, position))
}

/** Steps at most; each evaluates the loss once, seldom more often. */
const mostSteps = 40
/** Done when a step lowers the loss by less than this share. */
const leastGain = 1e-5
/** Steps that the shape of the loss is learnt from. */
const remembered = 8

interface Step {
  move: Float64Array
  /** Change of the gradient. */
  change: Float64Array
  /** 1 ÷ (move · change). */
  inverse: number
}

/**
 * Minimises a convex function by L-BFGS (Liu and Nocedal, On the Limited Memory BFGS Method, 1989), changing `at` in
 * place. `curvature`: about the second derivative by each number, > 0.
 */
export function minimise(
  lossAt: (at: Float64Array) => { loss: number; gradient: Float64Array },
  at: Float64Array,
  curvature: Float64Array,
): void {
  let now = lossAt(at)
  const steps: Step[] = []
  for (let step = 0; step < mostSteps; step++) {
    const direction = newtonStep(now.gradient, steps, curvature)
    const slope = dot(now.gradient, direction)
    if (!(slope > 0)) return
    // Shorten the step until the loss falls enough (Armijo).
    let size = 1
    let next: Float64Array
    let found: typeof now
    for (;;) {
      next = at.map((value, i) => value - size * direction[i]!)
      found = lossAt(next)
      if (found.loss <= now.loss - 1e-4 * size * slope) break
      size /= 2
      if (size < 1e-6) return
    }
    const move = next.map((value, i) => value - at[i]!)
    const change = found.gradient.map((value, i) => value - now.gradient[i]!)
    const curved = dot(move, change)
    if (curved > 0) steps.push({ move, change, inverse: 1 / curved })
    if (steps.length > remembered) steps.shift()
    const gain = now.loss - found.loss
    at.set(next)
    now = found
    if (gain <= leastGain * Math.abs(now.loss)) return
  }
}

/** The gradient times the inverse of the second derivatives, as far as the steps tell them. */
function newtonStep(gradient: Float64Array, steps: readonly Step[], curvature: Float64Array): Float64Array {
  const direction = gradient.slice()
  const shares: number[] = []
  for (const { move, change, inverse } of steps.toReversed()) {
    const share = inverse * dot(move, direction)
    shares.push(share)
    add(direction, -share, change)
  }
  for (let i = 0; i < direction.length; i++) direction[i]! /= curvature[i]!
  for (const { move, change, inverse } of steps) add(direction, shares.pop()! - inverse * dot(change, direction), move)
  return direction
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

function add(to: Float64Array, times: number, values: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i]! += times * values[i]!
}
