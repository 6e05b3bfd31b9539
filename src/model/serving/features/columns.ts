import { isObject, pointer } from '../../../schemas/json.ts'
import {
  bidProblem,
  bidRequired,
  checkRowCount,
  type EncodedContext,
  encodeContext,
  givenTwice,
  idProblem,
  keepGoodRows,
  repeatContext,
  unknownField,
} from './context.ts'
import { describeValue, requiredMessage } from './field.ts'
import type { EncodedRequest, EncodeOptions, FieldColumn, Layout } from './layout.ts'
import { Violations } from './problems.ts'

/** The second form of a request: named features as columns. */
export function encodeColumns(
  layout: Layout,
  context: unknown,
  candidates: unknown,
  options: EncodeOptions,
): EncodedRequest {
  const problems = options.problems ?? new Violations()
  const shared = encodeContext(layout, context, problems)
  const before = problems.list.length
  const columns = columnsOf(candidates, problems)
  const rows = rowCount(columns, problems)
  // Rows can be checked only in columns of equal length.
  problems.throwIfMore(before)
  checkRowCount(rows, options)

  const encoded: EncodedRequest = {
    requested: rows,
    problems: problems.list,
    placeOf: (row, field) => {
      const named = columns.some(([name]) => name === field)
      return `/candidates${pointer(named ? field! : columns[0]![0])}/${row}`
    },
    ...repeatContext(layout, shared, rows, options),
  }
  const seen = checkNames(layout, shared, columns, options, problems)
  // A problem of a whole column, not of single rows, rejects the request even if bad rows are left out.
  const partial = options.partial && problems.leaveOut()
  const bad = new Uint8Array(rows)
  for (const [name, values] of columns) {
    const slot = layout.byName.get(name)
    const wrong = (row: number, message: string) => {
      bad[row] = 1
      if (!problems.full) problems.add(`/candidates${pointer(name)}/${row}`, message)
    }
    if (slot !== undefined) {
      if (seen.has(slot)) encodeColumn(layout, slot, values, encoded, wrong)
    } else if (name === 'id') encoded.ids = takeReserved(values, idProblem, wrong)
    else if (name === 'bid') encoded.bids = takeReserved(values, bidProblem, wrong)
  }
  if (problems.list.length === 0) return encoded
  if (!partial) problems.throwIfAny()
  return keepGoodRows(encoded, bad, { sparse: layout.sparse.length, dense: layout.dense.length })
}

function columnsOf(candidates: unknown, problems: Violations): [string, unknown[]][] {
  const columns: [string, unknown[]][] = []
  if (!isObject(candidates)) {
    problems.add('/candidates', `must be an object of arrays, not ${describeValue(candidates)}`)
    return columns
  }
  let empty = true
  for (const name in candidates) {
    empty = false
    const values = candidates[name]
    if (Array.isArray(values)) columns.push([name, values])
    else problems.add(`/candidates${pointer(name)}`, `must be an array, not ${describeValue(values)}`)
  }
  if (empty) problems.add('/candidates', 'must have at least one column')
  return columns
}

/** The fields that columns may give, and give. Missing fields are reported on their own side. */
function checkNames(
  layout: Layout,
  shared: EncodedContext,
  columns: readonly [string, unknown[]][],
  options: EncodeOptions,
  problems: Violations,
): Set<FieldColumn> {
  const seen = new Set<FieldColumn>()
  for (const [name] of columns) {
    const slot = layout.byName.get(name)
    if (slot !== undefined && shared.given.has(slot)) problems.add(`/candidates${pointer(name)}`, givenTwice)
    else if (slot !== undefined) seen.add(slot)
    else if (name !== 'id' && name !== 'bid')
      problems.add(`/candidates${pointer(name)}`, () => unknownField(name, '/candidates', layout))
  }
  for (const slot of shared.required) {
    const side = slot.encoder.field.side === 'context' ? '/context' : '/candidates'
    if (!seen.has(slot)) problems.add(`${side}${pointer(slot.name)}`, requiredMessage)
  }
  if (options.bids && !columns.some(([name]) => name === 'bid')) problems.add('/candidates/bid', bidRequired)
  return seen
}

/** The common length of all columns; adds a problem for each that differs from the first. */
function rowCount(columns: [string, unknown[]][], problems: Violations): number {
  const [first] = columns
  if (first === undefined) return 0
  const [firstName, { length: rows }] = first
  if (rows === 0) problems.add(`/candidates${pointer(firstName)}`, 'must have at least one value')
  for (const [name, values] of columns) {
    if (values.length !== rows) {
      problems.add(
        `/candidates${pointer(name)}`,
        `has ${values.length} values where ${JSON.stringify(firstName.slice(0, 64))} has ${rows}`,
      )
    }
  }
  return rows
}

function encodeColumn(
  layout: Layout,
  slot: FieldColumn,
  values: unknown[],
  encoded: EncodedRequest,
  wrong: (row: number, message: string) => void,
): void {
  const target = slot.sparse ? encoded.sparse : encoded.dense
  const width = slot.sparse ? layout.sparse.length : layout.dense.length
  const { encoder, column } = slot
  for (let row = 0; row < values.length; row++) {
    const code = encoder.encode(values[row])
    if (typeof code === 'string') wrong(row, code)
    else target[row * width + column] = code
  }
}

function takeReserved<T>(
  values: unknown[],
  problem: (value: unknown) => string | undefined,
  wrong: (row: number, message: string) => void,
): (T | undefined)[] {
  return values.map((value, row) => {
    const message = problem(value)
    if (message !== undefined) wrong(row, message)
    return message === undefined ? (value as T) : undefined
  })
}
