import { scatter } from '../../base/hash.ts'
import { StringColumn } from '../data/columns.ts'
import type { ListColumn } from '../data/list-column.ts'
import { hasSeveral } from './model-fields.ts'
import type { PredictorField } from './predictor.ts'

/** Weights of a list's values: where they have more, some share one by a hash. */
const mostMembers = 2 ** 18

/** The values of lists and vectors, as many as a row has. */
export interface LinearMembers {
  /** uint32 [rows + 1]: where those of each row begin, and last where they end. */
  starts: Uint32Array
  /** The weight of each. */
  places: Uint32Array
  /** The numbers that weights are multiplied with. */
  values: Float32Array
}

/** Encodes the values of one list or vector of a row. */
interface MemberEncoder {
  weights: number
  /** How many there are in a row. */
  count(row: number): number
  /** Writes them from `at` on. */
  write(row: number, places: Uint32Array, values: Float32Array, at: number): void
}

/**
 * Encodes the values of lists and vectors, whose weights are numbered from `first` on; undefined where no field has
 * any. A list of ids has a weight for each value, its values together a length of 1; a list of numbers has one for
 * their mean, a vector one for each of its numbers. `scaled` standardises numbers.
 */
export function encodeMembers(
  fields: readonly PredictorField[],
  cells: readonly unknown[],
  rows: Int32Array,
  first: number,
  scaled: Standardise,
): { members: LinearMembers; weights: number } | undefined {
  let weights = first
  const encoders = fields.flatMap((field, index) => {
    if (!hasSeveral(field)) return []
    const encoder = encoderOf(field, cells[index] as ListColumn, rows, weights, scaled)
    weights += encoder.weights
    return [encoder]
  })
  if (encoders.length === 0) return undefined
  const starts = new Uint32Array(rows.length + 1)
  rows.forEach((row, i) => {
    starts[i + 1] = encoders.reduce((sum, { count }) => sum + count(row), starts[i]!)
  })
  const places = new Uint32Array(starts[rows.length]!)
  const values = new Float32Array(places.length)
  rows.forEach((row, i) => {
    let at = starts[i]!
    for (const { count, write } of encoders) {
      write(row, places, values, at)
      at += count(row)
    }
  })
  return { members: { starts, places, values }, weights }
}

/** A function that scales the numbers of a row, whose deviations it takes from all rows; null where there is none. */
export type Standardise = (numberOf: (row: number) => number | null, rows: Int32Array) => (row: number) => number

function encoderOf(
  { kind }: PredictorField,
  column: ListColumn,
  rows: Int32Array,
  first: number,
  scaled: Standardise,
): MemberEncoder {
  if (kind === 'vector') return ofVector(column, rows, first, scaled)
  return kind === 'numeric' ? ofNumbers(column, rows, first, scaled) : ofIds(column, rows, first)
}

function ofIds(column: ListColumn, rows: Int32Array, first: number): MemberEncoder {
  const codeOf = numbered(column)
  let known = 0
  for (const row of rows)
    for (let i = 0, at = column.startOf(row); i < column.lengthOf(row); i++) known = Math.max(known, codeOf(at + i) + 1)
  const weights = Math.min(known, mostMembers)
  const placeOf = known > mostMembers ? (code: number) => scatter(code) % mostMembers : (code: number) => code
  const weightAt = (at: number) => column.weights?.at(at) ?? 1
  return {
    weights,
    count: (row) => Math.max(0, column.lengthOf(row)),
    write(row, places, values, to) {
      const start = column.startOf(row)
      const length = column.lengthOf(row)
      let squares = 0
      for (let i = 0; i < length; i++) squares += weightAt(start + i) ** 2
      const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0
      for (let i = 0; i < length; i++) {
        places[to + i] = first + placeOf(codeOf(start + i))
        values[to + i] = scale * weightAt(start + i)
      }
    },
  }
}

/** Numbers the values of a list's column, from 0. */
function numbered({ values }: ListColumn): (at: number) => number {
  if (values instanceof StringColumn) return (at) => values.codeAt(at)
  const numbers = new Map<number, number>()
  return (at) => {
    const value = values.at(at)!
    let code = numbers.get(value)
    if (code === undefined) {
      code = numbers.size
      numbers.set(value, code)
    }
    return code
  }
}

function ofNumbers(column: ListColumn, rows: Int32Array, first: number, scaled: Standardise): MemberEncoder {
  const mean = (row: number): number | null => {
    const [start, length] = [column.startOf(row), column.lengthOf(row)]
    let sum = 0
    for (let i = 0; i < length; i++) sum += column.values.at(start + i) as number
    return length > 0 ? sum / length : null
  }
  const scaledOf = scaled(mean, rows)
  return {
    weights: 1,
    count: (row) => Number(column.lengthOf(row) > 0),
    write(row, places, values, to) {
      if (column.lengthOf(row) <= 0) return
      places[to] = first
      values[to] = scaledOf(row)
    },
  }
}

function ofVector(column: ListColumn, rows: Int32Array, first: number, scaled: Standardise): MemberEncoder {
  const present = rows.find((row) => column.lengthOf(row) > 0)
  const length = present === undefined ? 0 : column.lengthOf(present)
  const isWhole = (row: number) => column.lengthOf(row) === length
  const numbers = Array.from({ length }, (_, i) =>
    scaled((row) => (isWhole(row) ? (column.values.at(column.startOf(row) + i) as number) : null), rows),
  )
  return {
    weights: length,
    count: (row) => (isWhole(row) ? length : 0),
    write(row, places, values, to) {
      if (!isWhole(row)) return
      numbers.forEach((scaledOf, i) => {
        places[to + i] = first + i
        values[to + i] = scaledOf(row)
      })
    },
  }
}
