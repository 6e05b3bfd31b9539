import { checkRowCount, keepGoodRows, noBids } from './context.ts'
import { describe } from './field.ts'
import type { EncodedRequest, EncodeOptions, Layout } from './layout.ts'
import { Problems } from './problems.ts'

/** The third form of a request: tensors in manifest order, ids checked against each field's range. */
export function encodeTensors(layout: Layout, sparse: unknown, dense: unknown, options: EncodeOptions): EncodedRequest {
  const problems = new Problems()
  const sparseRows = matrix('sparse', sparse, layout.sparse.length, problems)
  const denseRows = matrix('dense', dense, layout.dense.length, problems)
  if (sparseRows && denseRows && sparseRows.length !== denseRows.length) {
    problems.add('/dense', `has ${denseRows.length} rows where sparse has ${sparseRows.length}`)
  }
  if (options.bids) problems.add('/options/rank/by', noBids)
  problems.throwIfAny()
  const rows = (sparseRows ?? denseRows ?? []).length
  checkRowCount(rows, options)

  const encoded: EncodedRequest = {
    requested: rows,
    rows,
    sparse: new Int32Array(rows * layout.sparse.length),
    dense: new Float32Array(rows * layout.dense.length),
    problems: problems.list,
  }
  const bad = new Uint8Array(rows)
  if (sparseRows) {
    fill('sparse', sparseRows, encoded.sparse, layout.sparse.length, problems, bad, options, (value, column) => {
      const { offset, ids, field } = layout.sparse[column]!
      if (typeof value !== 'number') return `must be an integer, not ${describe(value)}`
      if (!Number.isSafeInteger(value)) return 'must be an integer'
      if (value < offset || value >= offset + ids)
        return `is not an id of ${field.name}: must be from ${offset} to ${offset + ids - 1}`
      return value
    })
  }
  if (denseRows) {
    fill('dense', denseRows, encoded.dense, layout.dense.length, problems, bad, options, (value) => {
      if (typeof value !== 'number') return `must be a number, not ${describe(value)}`
      if (!Number.isFinite(value)) return 'must be finite'
      return Number.isFinite(Math.fround(value)) ? value : 'is too large for float32'
    })
  }
  if (problems.list.length === 0) return encoded
  if (!options.partial) problems.throwIfAny()
  return keepGoodRows(encoded, bad, { sparse: layout.sparse.length, dense: layout.dense.length })
}

/** The tensor's rows, if it is needed and is an array of at least one. */
function matrix(name: 'sparse' | 'dense', value: unknown, width: number, problems: Problems): unknown[] | undefined {
  if (width === 0) {
    if (value !== undefined) problems.add(`/${name}`, `must be left out: the model has no ${name} fields`)
    return undefined
  }
  if (Array.isArray(value) && value.length > 0) return value
  const message =
    value === undefined ? `is required: [rows, ${width}]` : `must be an array of rows of ${width} numbers, at least one`
  problems.add(`/${name}`, message)
  return undefined
}

function fill(
  name: 'sparse' | 'dense',
  rows: unknown[],
  target: Int32Array | Float32Array,
  width: number,
  problems: Problems,
  bad: Uint8Array,
  options: EncodeOptions,
  encode: (value: unknown, column: number) => number | string,
): void {
  for (let row = 0; row < rows.length; row++) {
    if (problems.full && !options.partial) return
    const values = rows[row]
    if (!Array.isArray(values) || values.length !== width) {
      problems.add(
        `/${name}/${row}`,
        Array.isArray(values)
          ? `has ${values.length} values, not ${width}`
          : `must be an array, not ${describe(values)}`,
      )
      bad[row] = 1
      continue
    }
    for (let column = 0; column < width; column++) {
      const code = encode(values[column], column)
      if (typeof code === 'string') {
        problems.add(`/${name}/${row}/${column}`, code)
        bad[row] = 1
      } else target[row * width + column] = code
    }
  }
}
