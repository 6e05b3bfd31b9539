import { product } from '../../../base/arrays.ts'
import { checkRowCount, keepGoodRows, noBids } from './context.ts'
import { describeValue } from './field.ts'
import { allocateRows, type EncodedRequest, type EncodeOptions, type Layout } from './layout.ts'
import { Violations } from './problems.ts'

/**
 * The third form of a request: tensors in manifest order, as arrays of rows or as NumberMatrix. Ids are checked against
 * each field's range.
 */
export function encodeTensors(layout: Layout, sparse: unknown, dense: unknown, options: EncodeOptions): EncodedRequest {
  const problems = options.problems ?? new Violations()
  const before = problems.list.length
  const sparseRows = matrix('sparse', sparse, layout.sparse.length, problems)
  const denseRows = matrix('dense', dense, layout.dense.length, problems)
  if (sparseRows && denseRows && countRows(sparseRows) !== countRows(denseRows)) {
    problems.add('/dense', `has ${countRows(denseRows)} rows where sparse has ${countRows(sparseRows)}`)
  }
  // Rows can be checked only if both tensors have the same number.
  problems.throwIfMore(before)
  if (options.bids) problems.add('/options/rank/by', noBids)
  const rows = countRows(sparseRows ?? denseRows ?? [])
  checkRowCount(rows, options)

  const encoded: EncodedRequest = {
    requested: rows,
    rows,
    ...allocateRows(layout, rows, options),
    problems: problems.list,
    placeOf: (row) => `/${denseRows === undefined ? 'sparse' : 'dense'}/${row}`,
  }
  const idsStored = sparseRows === undefined || storeIds(sparseRows, layout, encoded.sparse)
  const numbersStored = denseRows === undefined || storeNumbers(denseRows, layout, encoded.dense)
  if (idsStored && numbersStored && problems.list.length === 0) return encoded

  const partial = options.partial && problems.leaveOut()
  const bad = new Uint8Array(rows)
  const fillers: [Rows | undefined, Tensor][] = [
    [idsStored ? undefined : sparseRows, sparseTensor(layout, encoded.sparse)],
    [numbersStored ? undefined : denseRows, denseTensor(layout, encoded.dense)],
  ]
  for (const [rows, tensor] of fillers) {
    if (rows instanceof NumberMatrix) fillFlat(rows, tensor, problems, bad)
    else if (rows !== undefined) fill(rows, tensor, problems, bad)
  }
  if (problems.list.length === 0) return encoded
  if (!partial) problems.throwIfAny()
  return keepGoodRows(encoded, bad, { sparse: layout.sparse.length, dense: layout.dense.length })
}

/**
 * Stores numbers that are all valid; returns false where one is not, or rows are no NumberMatrix of this width: the
 * target is undefined then.
 */
function storeIds(rows: Rows, { sparse }: Layout, target: Int32Array): boolean {
  const width = sparse.length
  if (!(rows instanceof NumberMatrix) || rows.width !== width) return false
  const { values } = rows
  for (let i = 0, column = 0; i < values.length; i++) {
    const { offset, ids } = sparse[column]!
    const value = values[i]!
    const id = value | 0
    if (id !== value || id < offset || id >= offset + ids) return false
    target[i] = id
    if (++column === width) column = 0
  }
  return true
}

/** Likewise. */
function storeNumbers(rows: Rows, { dense }: Layout, target: Float32Array): boolean {
  if (!(rows instanceof NumberMatrix) || rows.width !== dense.length) return false
  const { values } = rows
  for (let i = 0, column = 0; i < values.length; i++) {
    const value = Math.fround(values[i]!)
    // NaN if the value is not finite.
    if (value - value !== 0 || (value < 0 && dense[column]!.least === 0)) return false
    target[i] = value
    if (++column === dense.length) column = 0
  }
  return true
}

type Rows = unknown[] | NumberMatrix

interface Tensor {
  name: 'sparse' | 'dense'
  width: number
  target: Int32Array | Float32Array
  /** The number to store, or why it is invalid. */
  encode(value: unknown, column: number): number | string
}

function sparseTensor({ sparse }: Layout, target: Int32Array): Tensor {
  return {
    name: 'sparse',
    width: sparse.length,
    target,
    encode(value, column) {
      const { offset, ids, field } = sparse[column]!
      if (typeof value !== 'number') return `must be an integer, not ${describeValue(value)}`
      if (!Number.isSafeInteger(value)) return 'must be an integer'
      if (value < offset || value >= offset + ids)
        return `is not an id of ${field.name}: must be from ${offset} to ${offset + ids - 1}`
      return value
    },
  }
}

function denseTensor({ dense }: Layout, target: Float32Array): Tensor {
  return {
    name: 'dense',
    width: dense.length,
    target,
    encode(value, column) {
      if (typeof value !== 'number') return `must be a number, not ${describeValue(value)}`
      if (!Number.isFinite(value)) return 'must be finite'
      const { least, field } = dense[column]!
      if (least !== undefined && value < least) return `is a weight of ${field.name}: must be at least ${least}`
      return Number.isFinite(Math.fround(value)) ? value : 'is too large for float32'
    },
  }
}

/** The rows of a tensor, if the model has it and there is at least one row. */
function matrix(name: 'sparse' | 'dense', value: unknown, width: number, problems: Violations): Rows | undefined {
  if (width === 0) {
    if (value !== undefined) problems.add(`/${name}`, `must be left out: the model has no ${name} fields`)
    return undefined
  }
  if (value instanceof NumberMatrix && value.rows > 0) return value
  if (Array.isArray(value) && value.length > 0) return value
  const message =
    value === undefined ? `is required: [rows, ${width}]` : `must be an array of rows of ${width} numbers, at least one`
  problems.add(`/${name}`, message)
  return undefined
}

function countRows(rows: Rows): number {
  return rows instanceof NumberMatrix ? rows.rows : rows.length
}

function fill(rows: unknown[], { name, width, target, encode }: Tensor, problems: Violations, bad: Uint8Array): void {
  for (let row = 0; row < rows.length; row++) {
    const values = rows[row]
    if (!Array.isArray(values) || values.length !== width) {
      problems.add(
        `/${name}/${row}`,
        Array.isArray(values) ? wrongWidth(values.length, width) : `must be an array, not ${describeValue(values)}`,
      )
      bad[row] = 1
      continue
    }
    for (let column = 0; column < width; column++) {
      const code = encode(values[column], column)
      if (typeof code === 'string') {
        problems.add(`/${name}/${row}/${column}`, code)
        bad[row] = 1
        // No further problem would be listed.
        if (problems.full) break
      } else target[row * width + column] = code
    }
  }
}

/** The same for numbers in one array. */
function fillFlat(
  { rows, width: given, values }: NumberMatrix,
  { name, width, target, encode }: Tensor,
  problems: Violations,
  bad: Uint8Array,
): void {
  if (given !== width) {
    for (let row = 0; row < rows && !problems.full; row++) problems.add(`/${name}/${row}`, wrongWidth(given, width))
    bad.fill(1)
    return
  }
  for (let row = 0; row < rows; row++) {
    for (let column = 0, i = row * width; column < width; column++, i++) {
      const code = encode(values[i], column)
      if (typeof code === 'string') {
        problems.add(`/${name}/${row}/${column}`, code)
        bad[row] = 1
        if (problems.full) break
      } else target[i] = code
    }
  }
}

function wrongWidth(given: number, width: number): string {
  return `has ${given} values, not ${width}`
}

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
