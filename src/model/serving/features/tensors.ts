import { checkRowCount, keepGoodRows, noBids, repeat } from './context.ts'
import { describeValue } from './field.ts'
import { allocateRows, type EncodedRequest, type EncodeOptions, type Layout } from './layout.ts'
import { type ColumnPart, ColumnParts, NumberMatrix } from './number-matrix.ts'
import { Violations } from './problems.ts'

/**
 * The third form of a request: tensors in manifest order, as arrays of rows, as NumberMatrix or as ColumnParts. Ids are
 * checked against each field's range.
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
  const ids = sparseTensor(layout, encoded.sparse)
  const numbers = denseTensor(layout, encoded.dense)
  const left: [Rows, Tensor][] = []
  if (sparseRows && !store(sparseRows, ids, (part) => storeIds(part, layout, encoded.sparse)))
    left.push([sparseRows, ids])
  if (denseRows && !store(denseRows, numbers, (part) => storeNumbers(part, layout, encoded.dense)))
    left.push([denseRows, numbers])
  if (left.length === 0) return encoded

  const bad = new Uint8Array(rows)
  // A value that holds for all rows refuses the request if it is wrong, even if bad rows are left out.
  for (const [rows, tensor] of left) if (rows instanceof ColumnParts) fillShared(rows, tensor, problems, bad)
  const partial = options.partial && problems.leaveOut()
  for (const [rows, tensor] of left) {
    if (rows instanceof ColumnParts) fillOwn(rows, tensor, problems, bad)
    else fill(rows, tensor, problems, bad)
  }
  if (problems.list.length === 0) return encoded
  if (!partial) problems.throwIfAny()
  return keepGoodRows(encoded, bad, { sparse: layout.sparse.length, dense: layout.dense.length })
}

/**
 * Stores numbers that are all valid; those that hold for all rows are checked once, and repeated. Returns false where
 * one is not, or rows are no ColumnParts of this width: the target is undefined then.
 */
function store(rows: Rows, { width, target }: Tensor, storePart: (part: ColumnPart) => boolean): boolean {
  if (!(rows instanceof ColumnParts) || rows.width !== width) return false
  const { shared, own } = rows
  if (!shared.every(storePart)) return false
  if (shared.length > 0) repeat(target.subarray(0, width), target)
  return own.every(storePart)
}

/** Returns false where an id is invalid. */
function storeIds({ matrix, columns }: ColumnPart, { sparse }: Layout, target: Int32Array): boolean {
  const { width, values } = matrix
  if (columns === 0 && width === sparse.length) return storeAllIds(values, sparse, target)
  for (let i = 0, at = 0, row = 0; i < values.length; i++) {
    const column = typeof columns === 'number' ? columns + at : columns[at]!
    const { offset, ids } = sparse[column]!
    const value = values[i]!
    const id = value | 0
    if (id !== value || id < offset || id >= offset + ids) return false
    target[row + column] = id
    if (++at < width) continue
    at = 0
    row += sparse.length
  }
  return true
}

/** The same for whole rows, in a third less time: those of clients that encode. */
function storeAllIds(values: NumberMatrix['values'], sparse: Layout['sparse'], target: Int32Array): boolean {
  for (let i = 0, column = 0; i < values.length; i++) {
    const { offset, ids } = sparse[column]!
    const value = values[i]!
    const id = value | 0
    if (id !== value || id < offset || id >= offset + ids) return false
    target[i] = id
    if (++column === sparse.length) column = 0
  }
  return true
}

/** Likewise. */
function storeNumbers({ matrix, columns }: ColumnPart, { dense }: Layout, target: Float32Array): boolean {
  const { width, values } = matrix
  for (let i = 0, at = 0, row = 0; i < values.length; i++) {
    const column = typeof columns === 'number' ? columns + at : columns[at]!
    const value = Math.fround(values[i]!)
    // NaN if the value is not finite.
    if (value - value !== 0 || (value < 0 && dense[column]!.least === 0)) return false
    target[row + column] = value
    if (++at < width) continue
    at = 0
    row += dense.length
  }
  return true
}

type Rows = unknown[] | ColumnParts

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
  if (value instanceof NumberMatrix && value.rows > 0) return ColumnParts.of(value)
  if (value instanceof ColumnParts && value.rows > 0) return value
  if (Array.isArray(value) && value.length > 0) return value
  const message =
    value === undefined ? `is required: [rows, ${width}]` : `must be an array of rows of ${width} numbers, at least one`
  problems.add(`/${name}`, message)
  return undefined
}

function countRows(rows: Rows): number {
  return rows instanceof ColumnParts ? rows.rows : rows.length
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

/** The same for numbers that hold for all rows. */
function fillShared({ width, shared }: ColumnParts, tensor: Tensor, problems: Violations, bad: Uint8Array): void {
  if (width !== tensor.width) return
  for (const part of shared) fillPart(part, tensor, problems, bad)
  if (shared.length > 0) repeat(tensor.target.subarray(0, width), tensor.target)
}

/** The same for all others. */
function fillOwn({ rows, width, own }: ColumnParts, tensor: Tensor, problems: Violations, bad: Uint8Array): void {
  if (width === tensor.width) {
    for (const part of own) fillPart(part, tensor, problems, bad)
    return
  }
  for (let row = 0; row < rows && !problems.full; row++)
    problems.add(`/${tensor.name}/${row}`, wrongWidth(width, tensor.width))
  bad.fill(1)
}

function fillPart(
  { matrix: { rows, width, values }, columns }: ColumnPart,
  { name, width: all, target, encode }: Tensor,
  problems: Violations,
  bad: Uint8Array,
): void {
  for (let row = 0, i = 0; row < rows; row++) {
    for (let at = 0; at < width; at++, i++) {
      const column = typeof columns === 'number' ? columns + at : columns[at]!
      const code = encode(values[i], column)
      if (typeof code === 'string') {
        problems.add(`/${name}/${row}/${column}`, code)
        bad[row] = 1
        if (problems.full) return
      } else target[row * all + column] = code
    }
  }
}

function wrongWidth(given: number, width: number): string {
  return `has ${given} values, not ${width}`
}
