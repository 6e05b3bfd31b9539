import { product } from '../../../base/arrays.ts'
import { describeValue } from './field.ts'
import type { Violations } from './problems.ts'

/** Unscaled numbers, row-major [rows, width]. */
export class NumberMatrix {
  readonly rows: number
  readonly width: number
  readonly values: Int32Array | Float32Array | Float64Array

  constructor(rows: number, width: number, values: Int32Array | Float32Array | Float64Array) {
    this.rows = rows
    this.width = width
    this.values = values
  }
}

/** A matrix as columns of a tensor. */
export interface ColumnPart {
  /** One row, which holds for all rows of the tensor, or all of them. */
  matrix: NumberMatrix
  /** The column of the tensor that its first is, and the others after it; or that each is. */
  columns: number | readonly number[]
}

/** A tensor [rows, width] that is given in parts, none of them a copy. */
export class ColumnParts {
  readonly rows: number
  readonly width: number
  readonly parts: readonly ColumnPart[]

  constructor(rows: number, width: number, parts: readonly ColumnPart[]) {
    this.rows = rows
    this.width = width
    this.parts = parts
  }

  static of(matrix: NumberMatrix): ColumnParts {
    return new ColumnParts(matrix.rows, matrix.width, [{ matrix, columns: 0 }])
  }

  /** The parts of which one row holds for all. */
  get shared(): ColumnPart[] {
    return this.parts.filter(({ matrix }) => matrix.rows < this.rows)
  }

  /** The parts that have all rows. */
  get own(): ColumnPart[] {
    return this.parts.filter(({ matrix }) => matrix.rows === this.rows)
  }
}

/**
 * Nested arrays of numbers, [rows, …dims], as one matrix [rows, width]; of `dims` [1] each row may be a plain number
 * too. `booleans`: false and true are 0 and 1. Reports values that are not numbers, ragged arrays and missing arrays by
 * their path below `path`, and returns undefined then.
 */
export function flattenRows(
  value: unknown,
  dims: readonly number[],
  path: string,
  problems: Violations,
  booleans = false,
): NumberMatrix | undefined {
  if (!Array.isArray(value) || value.length === 0) {
    problems.add(
      path,
      `must be an array of at least one row, not ${Array.isArray(value) ? 'an empty one' : describeValue(value)}`,
    )
    return undefined
  }
  const width = product(dims)
  const values = new Float64Array(value.length * width)
  const before = problems.list.length
  // One number per row is written with or without brackets.
  const shape = dims.length === 1 && dims[0] === 1 && !Array.isArray(value[0]) ? [] : dims
  if (fillPlain(value, shape, values)) return new NumberMatrix(value.length, width, values)
  let next = 0
  const read = (part: unknown, depth: number, place: () => string): void => {
    const side = shape[depth]
    if (side === undefined) {
      if (typeof part === 'number' || (booleans && typeof part === 'boolean')) values[next++] = Number(part)
      else problems.add(place(), `must be a number, not ${describeValue(part)}`)
      return
    }
    if (!Array.isArray(part)) problems.add(place(), `must be an array of ${side}, not ${describeValue(part)}`)
    else if (part.length !== side) problems.add(place(), `has ${part.length} values, not ${side}`)
    else for (let i = 0; i < side; i++) read(part[i], depth + 1, () => `${place()}/${i}`)
  }
  for (let row = 0; row < value.length; row++) read(value[row], 0, () => `${path}/${row}`)
  return problems.list.length === before ? new NumberMatrix(value.length, width, values) : undefined
}

/** The fast path for rows that are numbers or arrays of numbers; false if any row is neither. */
function fillPlain(rows: readonly unknown[], shape: readonly number[], values: Float64Array): boolean {
  const [side] = shape
  if (shape.length > 1) return false
  let next = 0
  for (let row = 0; row < rows.length; row++) {
    const part = rows[row]
    if (side === undefined) {
      if (typeof part !== 'number') return false
      values[next++] = part
      continue
    }
    if (!Array.isArray(part) || part.length !== side) return false
    for (let i = 0; i < side; i++) {
      const value: unknown = part[i]
      if (typeof value !== 'number') return false
      values[next++] = value
    }
  }
  return true
}
