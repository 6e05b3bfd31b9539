import type { Violation } from '../../../base/errors.ts'
import { suggestNames } from '../../../base/names.ts'
import { pointer } from '../../../schemas/json.ts'
import { checkRowCount } from '../features/context.ts'
import type { Encoder } from '../features/encoder.ts'
import { checkColumns, type EncodedRequest, type EncodeOptions } from '../features/layout.ts'
import { ColumnParts, flattenRows, NumberMatrix } from '../features/number-matrix.ts'
import { inTerms, Violations } from '../features/problems.ts'
import type { InputTensor } from './tensors.ts'

/** Encodes tensors by name; throws INVALID_REQUEST with places below `/inputs`, and TOO_MANY_ROWS. */
export function encodeInputs(
  encoder: Encoder,
  inputs: readonly InputTensor[],
  given: Record<string, unknown>,
  options: EncodeOptions,
): EncodedRequest {
  const { sparse, dense } = gatherTensors(inputs, given, options.problems, (rows) => {
    checkRowCount(rows, options)
    checkColumns(encoder.layout, rows, options)
  })
  const inTermsOf = inTensors(inputs)
  const encoded = inTerms(inTermsOf, () => encoder.tensors(sparse, dense, options))
  const placeOf: EncodedRequest['placeOf'] = (row, field) =>
    inTermsOf({ path: encoded.placeOf(row, field), message: '' }).path
  return { ...encoded, placeOf, problems: encoded.problems.map(inTermsOf) }
}

/** The encoded tensors of a request, numbers as they came; undefined for those that it has no columns for. */
export interface GatheredTensors {
  sparse: ColumnParts | undefined
  dense: ColumnParts | undefined
}

/**
 * Puts a request's tensors together: each nested arrays of numbers, [rows, …dims], or a NumberMatrix [rows, width].
 * Throws INVALID_REQUEST, with places below `/inputs`, for what is missing, unknown, ragged, or no number. `checkRows`
 * throws where they are too many.
 */
export function gatherTensors(
  inputs: readonly InputTensor[],
  given: Record<string, unknown>,
  problems = new Violations(),
  checkRows: (rows: number) => void = () => {},
): GatheredTensors {
  const before = problems.list.length
  const names = new Set(inputs.map(({ name }) => name))
  // Not Object.keys, which takes seconds for a million of them.
  for (const name in given) {
    if (!names.has(name))
      problems.add(placeOf(name), () => `is no input of this model${suggestNames(name, [...names])}`)
  }
  const matrices = new Map<InputTensor, NumberMatrix>()
  for (const input of inputs) {
    const value = Object.hasOwn(given, input.name) ? given[input.name] : undefined
    const path = placeOf(input.name)
    if (value === undefined) {
      if (input.derived === undefined) problems.add(path, `is required: [${['rows', ...input.dims].join(', ')}]`)
      continue
    }
    const matrix =
      value instanceof NumberMatrix
        ? value
        : flattenRows(value, input.dims, path, problems, input.derived?.is === 'mask')
    if (matrix !== undefined) matrices.set(input, matrix)
  }
  problems.throwIfMore(before)
  const [first] = [...matrices.keys()].toSorted((a, b) => Number(a.context ?? false) - Number(b.context ?? false))
  const rows = first === undefined ? 0 : matrices.get(first)!.rows
  for (const [{ name, context }, matrix] of matrices)
    if (matrix.rows !== rows && !(context && matrix.rows === 1))
      problems.add(placeOf(name), `has ${matrix.rows} rows where ${first!.name} has ${rows}`)
  problems.throwIfMore(before)
  checkRows(rows)
  const sparse = partsOf(inputs, 'sparse', matrices, rows)
  checkDerived(matrices, sparse, problems)
  problems.throwIfMore(before)
  return { sparse, dense: partsOf(inputs, 'dense', matrices, rows) }
}

function partsOf(
  inputs: readonly InputTensor[],
  role: InputTensor['role'],
  matrices: ReadonlyMap<InputTensor, NumberMatrix>,
  rows: number,
): ColumnParts | undefined {
  const own = inputs.filter((input) => input.role === role && input.derived === undefined)
  if (own.length === 0) return undefined
  const width = own.reduce((sum, { width }) => sum + width, 0)
  const parts = own.map((input) => ({ matrix: matrices.get(input)!, columns: input.columns ?? input.column }))
  return new ColumnParts(rows, width, parts)
}

/** Adds a problem for each mask and number of values that contradicts the ids. */
function checkDerived(
  matrices: ReadonlyMap<InputTensor, NumberMatrix>,
  ids: ColumnParts | undefined,
  problems: Violations,
): void {
  for (const [{ name, derived }, { rows, width, values }] of matrices) {
    if (derived === undefined || ids === undefined) continue
    const places = Array.from({ length: derived.width }, (_, i) => placeIn(ids, derived.first + i))
    const before = problems.list.length
    // Rows that hold for all are compared once; a problem of one mask with the ids of several rows is listed once.
    const compared = Math.max(rows, ...places.map(({ matrix }) => matrix.rows))
    for (let at = 0; at < compared && !problems.full; at++) {
      if (rows === 1 && problems.list.length > before) break
      const row = rows === 1 ? 0 : at
      let length = 0
      for (let i = 0; i < derived.width; i++) {
        const { matrix, column } = places[i]!
        const id = matrix.values[(matrix.rows === 1 ? 0 : at) * matrix.width + column]
        const expected = Number(id !== derived.padding)
        length += expected
        if (derived.is === 'lengths' || values[row * width + i] === expected) continue
        const there = expected ? 'a value' : `padding (${derived.padding})`
        problems.add(`${placeOf(name)}/${row}/${i}`, `is ${values[row * width + i]}, but the ids have ${there} there`)
      }
      if (derived.is === 'lengths' && values[row] !== length)
        problems.add(`${placeOf(name)}/${row}`, `is ${values[row]}, but the ids have ${length} values`)
    }
  }
}

/** The part of a tensor that has a column, and the column's place there. */
function placeIn({ parts }: ColumnParts, column: number): { matrix: NumberMatrix; column: number } {
  for (const { matrix, columns } of parts) {
    const place = typeof columns === 'number' ? column - columns : columns.indexOf(column)
    if (place >= 0 && place < matrix.width) return { matrix, column: place }
  }
  throw new RangeError(`no part has the column ${column}`)
}

/** Problems of encoded tensors, `/sparse/3/7`, in terms of the tensors that the request has: `/inputs/country/3`. */
function inTensors(inputs: readonly InputTensor[]): (problem: Violation) => Violation {
  return ({ path, message }) => {
    const [, role, row, column] = path.split('/')
    const parts = inputs.filter((input) => input.role === role && input.derived === undefined)
    if (parts.length === 0) return { path, message }
    if (column === undefined) {
      const whole = parts.length === 1 ? placeOf(parts[0]!.name) : '/inputs'
      return { path: row === undefined ? whole : `${whole}/${row}`, message }
    }
    const place = (input: InputTensor) =>
      input.columns === undefined ? Number(column) - input.column : input.columns.indexOf(Number(column))
    const part = parts.find((input) => place(input) >= 0 && place(input) < input.width)!
    const inside = part.dims.length === 0 ? '' : `/${placeInside(place(part), part.dims).join('/')}`
    return { path: `${placeOf(part.name)}/${row}${inside}`, message }
  }
}

/** Indices of a row-major place. */
function placeInside(place: number, dims: readonly number[]): number[] {
  const indices: number[] = []
  let rest = place
  for (const side of [...dims].reverse()) {
    indices.unshift(rest % side)
    rest = Math.floor(rest / side)
  }
  return indices
}

function placeOf(name: string): string {
  return `/inputs${pointer(name)}`
}
