import { scatter } from '../../base/hash.ts'
import type { CellColumn, StringColumn } from '../data/columns.ts'
import { ListColumn } from '../data/list-column.ts'
import { encodeMembers, type LinearMembers } from './linear-members.ts'
import { hasSeveral } from './model-fields.ts'
import type { PredictorField } from './predictor.ts'

/** Numbers further from the mean than these standard deviations count as this far. */
const mostDeviations = 5

/**
 * Rows as a logistic regression takes them: one weight per value of a field, and one per number. A list is a number,
 * how many values it has, and its members.
 */
export interface LinearRows {
  weights: number
  /** uint32 [rows, fields]: the weight of each field's value. */
  places: Uint32Array
  /** float32 [rows, fields]: what the weight is multiplied with. */
  values: Float32Array
  fields: number
  /** The values of lists and vectors; undefined where there are none. */
  members?: LinearMembers | undefined
  /** uint32 [rows, crosses]: the weight of each combination of values. */
  crossed: Uint32Array
  crosses: number
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
  fields.forEach((field, index) => {
    const column = cells[index]!
    const { kind } = field
    if (kind === 'numeric' || hasSeveral(field)) {
      const numberOf = column instanceof ListColumn ? countOf(column) : (row: number) => column.at(row) as number | null
      const scaled = standardised(numberOf, rows)
      rows.forEach((row, i) => {
        const isMissing = numberOf(row) === null
        places[i * width + index] = isMissing ? next + 1 : next
        if (!isMissing) values[i * width + index] = scaled(row)
      })
      next += 2
      return
    }
    const code = kind === 'integer' ? numbered(column) : (row: number) => (column as StringColumn).codeAt(row)
    let most = 0
    rows.forEach((row, i) => {
      const place = code(row) + 1
      places[i * width + index] = next + place
      if (place > most) most = place
    })
    next += most + 1
  })
  const several = encodeMembers(fields, cells, rows, next, standardised)
  return {
    weights: several?.weights ?? next,
    places,
    values,
    fields: width,
    members: several?.members,
    crossed: new Uint32Array(),
    crosses: 0,
  }
}

/** How many values a list has, in a form that a few long ones don't dominate. */
const countOf = (column: ListColumn) => (row: number) =>
  column.lengthOf(row) < 0 ? null : Math.log1p(column.lengthOf(row))

/** The standardised numbers of rows, clipped; 0 where there is none. */
function standardised(numberOf: (row: number) => number | null, rows: Int32Array): (row: number) => number {
  const { mean, deviation } = moments(numberOf, rows)
  return (row) => {
    const scaled = ((numberOf(row) ?? mean) - mean) / deviation
    return Math.max(-mostDeviations, Math.min(mostDeviations, scaled))
  }
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

function moments(numberOf: (row: number) => number | null, rows: Int32Array): { mean: number; deviation: number } {
  let [count, mean, squares] = [0, 0, 0]
  for (const row of rows) {
    const value = numberOf(row)
    if (value === null) continue
    count++
    const delta = value - mean
    mean += delta / count
    squares += delta * (value - mean)
  }
  const deviation = Math.sqrt(squares / Math.max(1, count))
  return { mean, deviation: deviation > 0 ? deviation : 1 }
}

/** Most weights of combinations: where there are more, some share one by a hash. */
const mostCombinations = 2 ** 20

/** The same rows with a weight per combination of these fields' values, given by index. */
export function withCrosses(linear: LinearRows, crosses: readonly (readonly number[])[]): LinearRows {
  const { places, fields, weights } = linear
  const rows = places.length / Math.max(1, fields)
  const crossed = new Uint32Array(rows * crosses.length)
  const most = Math.floor(mostCombinations / Math.max(1, crosses.length))
  let next = weights
  crosses.forEach((parts, cross) => {
    const known = new Map<number, number>()
    const keyOf = combinationKey(linear, parts)
    for (let row = 0; row < rows; row++) {
      const key = keyOf(row)
      let place = known.get(key)
      if (place === undefined) {
        place = known.size < most ? known.size : scatter(key >>> 0) % most
        if (known.size < most) known.set(key, place)
      }
      crossed[row * crosses.length + cross] = next + place
    }
    next += known.size
  })
  return { ...linear, weights: next, crossed, crosses: crosses.length }
}

/** A number for each combination of the values of these fields in a row; exact for two fields. */
export function combinationKey({ places, fields, weights }: LinearRows, parts: readonly number[]) {
  return (row: number): number => {
    let key = 0
    for (const field of parts) {
      const next = key * weights + places[row * fields + field]!
      key = next <= Number.MAX_SAFE_INTEGER ? next : scatter(key >>> 0) * weights + places[row * fields + field]!
    }
    return key
  }
}
