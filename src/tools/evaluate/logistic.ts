import { sum } from '../../model/quality/metrics.ts'
import { sigmoid } from '../../model/serving/calibration/calibrator.ts'
import type { CellColumn, StringColumn } from '../data/columns.ts'
import type { PredictorField } from './predictor.ts'

/** Penalty on the squares of the weights, in rows; chosen on census-income and ads-funnel. */
const ridge = 2
/** Numbers further from the mean than these standard deviations count as this far. */
const mostDeviations = 5

/** Rows as a logistic regression takes them: one weight per value of a field, and one per number. */
export interface LinearRows {
  weights: number
  /** uint32 [rows, fields]: the weight of each field's value. */
  places: Uint32Array
  /** float32 [rows, fields]: what the weight is multiplied with. */
  values: Float32Array
  fields: number
}

/**
 * Encodes rows of a data set; `positions` index `rows`. Missing values and each value of a string or an id have a
 * weight.
 */
export function encodeLinear(
  fields: readonly PredictorField[],
  cells: readonly CellColumn[],
  rows: Int32Array,
): LinearRows {
  const width = fields.length
  const places = new Uint32Array(rows.length * width)
  const values = new Float32Array(rows.length * width).fill(1)
  let next = 0
  fields.forEach(({ kind }, field) => {
    const column = cells[field]!
    if (kind === 'numeric') {
      const { mean, deviation } = moments(column, rows)
      rows.forEach((row, i) => {
        const value = column.at(row) as number | null
        const scaled = ((value ?? mean) - mean) / deviation
        places[i * width + field] = value === null ? next + 1 : next
        if (value !== null) values[i * width + field] = Math.max(-mostDeviations, Math.min(mostDeviations, scaled))
      })
      next += 2
      return
    }
    const code = kind === 'integer' ? numbered(column) : (row: number) => (column as StringColumn).codeAt(row)
    let most = 0
    rows.forEach((row, i) => {
      const place = code(row) + 1
      places[i * width + field] = next + place
      if (place > most) most = place
    })
    next += most + 1
  })
  return { weights: next, places, values, fields: width }
}

function numbered(column: CellColumn): (row: number) => number {
  const numbers = new Map<number, number>()
  return (row) => {
    const value = column.at(row) as number | null
    if (value === null) return -1
    const known = numbers.get(value) ?? numbers.size
    numbers.set(value, known)
    return known
  }
}

function moments(column: CellColumn, rows: Int32Array): { mean: number; deviation: number } {
  let [count, mean, squares] = [0, 0, 0]
  for (const row of rows) {
    const value = column.at(row) as number | null
    if (value === null) continue
    count++
    const delta = value - mean
    mean += delta / count
    squares += delta * (value - mean)
  }
  const deviation = Math.sqrt(squares / Math.max(1, count))
  return { mean, deviation: deviation > 0 ? deviation : 1 }
}

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
  const { weights: count, places, values, fields } = rows
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
    }
    return { loss, gradient }
  }
  const curvature = new Float64Array(count + 1).fill(ridge)
  for (let i = 0; i < positions.length; i++) {
    const ofRow = weightOf(i) * base * (1 - base)
    curvature[count]! += ofRow
    const start = positions[i]! * fields
    for (let at = start; at < start + fields; at++) curvature[places[at]!]! += ofRow * values[at]! ** 2
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
