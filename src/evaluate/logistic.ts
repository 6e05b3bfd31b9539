import type { CellColumn, StringColumn } from '../data/columns.ts'
import { sigmoid } from '../model/calibration/calibrator.ts'
import type { PredictorField } from './predictor.ts'

/** Passes over the rows to fit. */
const epochs = 3
/** Step of AdaGrad, and what a weight is pulled to 0 by per step; chosen on census-income and ads-funnel. */
const rate = 0.1
const ridge = 1e-6
/** Numbers beyond this many deviations count as this many. */
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

/** Encodes rows of a data set; `positions` index `rows`. Missing values and each value of a string or an id have a weight. */
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
 * Fits a logistic regression to rows by AdaGrad (Duchi et al. 2011), in their order. `positions`: which rows of `rows`; `labels` and
 * `sampleWeights`: per position. Returns the probability of any row.
 */
export function fitLogistic(
  { weights: count, places, values, fields }: LinearRows,
  positions: ArrayLike<number>,
  labels: ArrayLike<number>,
  sampleWeights: ArrayLike<number> | undefined,
): (position: number) => number {
  // Each weight, followed by the sum of its squared gradients: an update needs both.
  const state = new Float64Array(2 * count)
  for (let place = 0; place < count; place++) state[2 * place + 1] = 1e-8
  let [total, positive] = [0, 0]
  for (let i = 0; i < positions.length; i++) {
    const weight = sampleWeights ? sampleWeights[i]! : 1
    total += weight
    if (labels[i]) positive += weight
  }
  const scale = positions.length / total
  const base = Math.min(0.999999, Math.max(0.000001, positive / total))
  let bias = Math.log(base / (1 - base))
  let biasSquares = 1e-8
  const scoreOf = (position: number) => {
    let score = bias
    for (let at = position * fields, end = at + fields; at < end; at++) score += state[2 * places[at]!]! * values[at]!
    return score
  }
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let i = 0; i < positions.length; i++) {
      const position = positions[i]!
      const weight = sampleWeights ? scale * sampleWeights[i]! : 1
      const error = weight * (sigmoid(scoreOf(position)) - (labels[i] ? 1 : 0))
      for (let at = position * fields, end = at + fields; at < end; at++) {
        const place = 2 * places[at]!
        const before = state[place]!
        const gradient = error * values[at]! + ridge * before
        const squares = state[place + 1]! + gradient * gradient
        state[place + 1] = squares
        state[place] = before - (rate * gradient) / Math.sqrt(squares)
      }
      biasSquares += error * error
      bias -= (rate * error) / Math.sqrt(biasSquares)
    }
  }
  return (position) => sigmoid(scoreOf(position))
}
