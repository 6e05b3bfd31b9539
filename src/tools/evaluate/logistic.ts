import { sum } from '../../model/quality/metrics.ts'
import { sigmoid } from '../../model/serving/calibration/calibrator.ts'
import type { LinearRows } from './linear-rows.ts'

/** Penalty on the squares of the weights, in rows; chosen on census-income and ads-funnel. */
export const ridge = 2

/** Awaited after each pass over the rows, of which there have been `passes`: time for other work. */
export type Pause = (passes: number) => Promise<void>

/**
 * Fits a logistic regression to rows, with a ridge, by L-BFGS (Liu and Nocedal 1989) from the second derivatives at the
 * base rate: the order of the rows does not matter, and the mean prediction is the rows' rate. `positions`: which rows
 * of `rows`; `labels` and `sampleWeights`: per position. Resolves with the probability of any row; rejects as `pause`.
 */
export async function fitLogistic(
  rows: LinearRows,
  positions: ArrayLike<number>,
  labels: ArrayLike<number>,
  sampleWeights: ArrayLike<number> | undefined,
  pause?: Pause,
): Promise<(position: number) => number> {
  const { weights: count } = rows
  const weights = new Float64Array(count + 1)
  const of = rowWeights(positions.length, sampleWeights)
  let positive = 0
  for (let i = 0; i < positions.length; i++) if (labels[i]) positive += of[i]!
  const base = Math.min(0.999999, Math.max(0.000001, positive / positions.length))
  weights[count] = Math.log(base / (1 - base))
  await minimise(createLoss(rows, positions, labels, of), weights, curvatureOf(rows, positions, of, base), pause)
  return (position) => sigmoid(scoreOf(rows, weights, position))
}

/** Weights of rows, of a mean of 1. */
function rowWeights(rows: number, sampleWeights: ArrayLike<number> | undefined): Float64Array {
  if (sampleWeights === undefined) return new Float64Array(rows).fill(1)
  const scale = rows / sum(sampleWeights)
  return Float64Array.from({ length: rows }, (_, i) => scale * sampleWeights[i]!)
}

function scoreOf(
  { places, values, fields, members, crossed, crosses, weights: count }: LinearRows,
  weights: Float64Array,
  position: number,
): number {
  let score = weights[count]!
  for (let at = position * fields, end = at + fields; at < end; at++) score += weights[places[at]!]! * values[at]!
  for (let at = position * crosses, end = at + crosses; at < end; at++) score += weights[crossed[at]!]!
  if (members === undefined) return score
  const end = members.starts[position + 1]!
  for (let at = members.starts[position]!; at < end; at++) score += weights[members.places[at]!]! * members.values[at]!
  return score
}

/** The loss of all rows with the ridge. */
function createLoss(rows: LinearRows, positions: ArrayLike<number>, labels: ArrayLike<number>, of: Float64Array): Loss {
  const { weights: count, places, values, fields, members, crossed, crosses } = rows
  const scores = new Float64Array(positions.length)
  return {
    at(weights, limit) {
      let loss = 0
      for (let place = 0; place < count; place++) loss += (ridge * weights[place]! ** 2) / 2
      for (let i = 0; i < positions.length; i++) {
        const score = scoreOf(rows, weights, positions[i]!)
        scores[i] = score
        const signed = labels[i] ? -score : score
        loss += of[i]! * (Math.max(0, signed) + Math.log1p(Math.exp(-Math.abs(signed))))
        // No row makes it less.
        if (loss > limit) break
      }
      return loss
    },
    gradient(weights) {
      const gradient = new Float64Array(count + 1)
      for (let place = 0; place < count; place++) gradient[place] = ridge * weights[place]!
      let ofBase = 0
      for (let i = 0; i < positions.length; i++) {
        const error = of[i]! * (sigmoid(scores[i]!) - (labels[i] ? 1 : 0))
        ofBase += error
        const [start, first] = [positions[i]! * fields, positions[i]! * crosses]
        for (let at = start; at < start + fields; at++) gradient[places[at]!]! += error * values[at]!
        for (let at = first; at < first + crosses; at++) gradient[crossed[at]!]! += error
        if (members === undefined) continue
        const end = members.starts[positions[i]! + 1]!
        for (let at = members.starts[positions[i]!]!; at < end; at++)
          gradient[members.places[at]!]! += error * members.values[at]!
      }
      gradient[count] = ofBase
      return gradient
    },
  }
}

/** About the second derivative by each weight, at the base rate. */
function curvatureOf(rows: LinearRows, positions: ArrayLike<number>, of: Float64Array, base: number): Float64Array {
  const { weights: count, places, values, fields, members, crossed, crosses } = rows
  const curvature = new Float64Array(count + 1).fill(ridge)
  for (let i = 0; i < positions.length; i++) {
    const ofRow = of[i]! * base * (1 - base)
    curvature[count]! += ofRow
    const start = positions[i]! * fields
    for (let at = start; at < start + fields; at++) curvature[places[at]!]! += ofRow * values[at]! ** 2
    const first = positions[i]! * crosses
    for (let at = first; at < first + crosses; at++) curvature[crossed[at]!]! += ofRow
    if (members === undefined) continue
    const end = members.starts[positions[i]! + 1]!
    for (let at = members.starts[positions[i]!]!; at < end; at++)
      curvature[members.places[at]!]! += ofRow * members.values[at]! ** 2
  }
  return curvature
}

/** Steps at most; each evaluates the loss once to five times. */
const mostSteps = 40
/** Done when a step lowers the loss by less than this share. */
const leastGain = 1e-5
/** Steps that the shape of the loss is learnt from. */
const remembered = 8

/** A convex function, 0 or more. */
export interface Loss {
  /** The loss; where it is more than `limit`, any number that is. */
  at(place: Float64Array, limit: number): number
  /** The gradient at the place that was asked for last, in whole. */
  gradient(place: Float64Array): Float64Array
}

interface Step {
  move: Float64Array
  /** Change of the gradient. */
  change: Float64Array
  /** 1 ÷ (move · change). */
  inverse: number
}

/**
 * Minimises a convex function by L-BFGS (Liu and Nocedal, On the Limited Memory BFGS Method, 1989), changing `at` in
 * place. `curvature`: about the second derivative by each number, > 0. Rejects as `pause`.
 */
export async function minimise(loss: Loss, at: Float64Array, curvature: Float64Array, pause?: Pause): Promise<void> {
  let passes = 1
  let now = loss.at(at, Number.POSITIVE_INFINITY)
  let gradient = loss.gradient(at)
  await pause?.(passes)
  const steps: Step[] = []
  const next = new Float64Array(at.length)
  for (let step = 0; step < mostSteps; step++) {
    const direction = newtonStep(gradient, steps, curvature)
    const slope = dot(gradient, direction)
    if (!(slope > 0)) return
    // Shorten the step until the loss falls enough (Armijo).
    let size = 1
    let found: number
    for (;;) {
      for (let i = 0; i < next.length; i++) next[i] = at[i]! - size * direction[i]!
      const limit = now - 1e-4 * size * slope
      found = loss.at(next, limit)
      await pause?.(++passes)
      if (found <= limit) break
      size /= 2
      if (size < 1e-6) return
    }
    const after = loss.gradient(next)
    const move = minus(next, at)
    const change = minus(after, gradient)
    const curved = dot(move, change)
    if (curved > 0) steps.push({ move, change, inverse: 1 / curved })
    if (steps.length > remembered) steps.shift()
    const gain = now - found
    at.set(next)
    now = found
    gradient = after
    if (gain <= leastGain * Math.abs(now)) return
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

function minus(a: Float64Array, b: Float64Array): Float64Array {
  const difference = new Float64Array(a.length)
  for (let i = 0; i < a.length; i++) difference[i] = a[i]! - b[i]!
  return difference
}
