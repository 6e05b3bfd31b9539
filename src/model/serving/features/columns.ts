import { isObject, pointer } from '../../../schemas/json.ts'
import {
  bidProblem,
  bidRequired,
  checkRowCount,
  type EncodedContext,
  encodeContext,
  givenApart,
  givenTwice,
  repeatContext,
  unknownField,
  withoutBad,
} from './context.ts'
import { keyProblem } from './entities.ts'
import { LeftOut, widthsOf } from './fetched.ts'
import { describeValue, requiredMessage } from './field.ts'
import type { ColumnGroup, FieldColumn } from './field-column.ts'
import { fillByKeys, type KeyColumn, keyColumnsOf } from './key-columns.ts'
import type { EncodedRequest, EncodeOptions, Layout } from './layout.ts'
import { type ListColumn, readListColumn } from './list-columns.ts'
import { Violations } from './problems.ts'

/** The second form of a request: named features as columns. */
export function encodeColumns(
  layout: Layout,
  context: unknown,
  candidates: unknown,
  options: EncodeOptions,
): EncodedRequest {
  const problems = options.problems ?? new Violations()
  const shared = encodeContext(layout, context, problems, options)
  const before = problems.list.length
  const columns = columnsOf(layout, candidates, problems)
  const rows = rowCount(columns, problems)
  // Rows can be checked only in columns of equal length.
  problems.throwIfMore(before)
  checkRowCount(rows, options)

  const encoded: EncodedRequest = {
    requested: rows,
    problems: problems.list,
    placeOf: (row, field) => {
      const named = columns.some(({ name }) => name === field)
      return `/candidates${pointer(named ? field! : columns[0]!.name)}/${row}`
    },
    ...repeatContext(layout, shared, rows, options),
  }
  const byKey = keyColumnsOf(layout, columns)
  const seen = checkNames(layout, shared, columns, byKey, options, problems)
  // A problem of a whole column, not of single rows, rejects the request even if bad rows are left out.
  const partial = options.partial && problems.leaveOut()
  const bad = new Uint8Array(rows)
  const left = options.leavesOut === false ? undefined : new LeftOut()
  for (const column of byKey)
    fillByKeys(layout, column, shared, seen, encoded, { bad, problems, left, notes: options.fetched })
  for (const { name, values } of columns) {
    const slot = layout.byName.get(name)
    const wrong = (row: number, message: string) => {
      bad[row] = 1
      if (!problems.full) problems.add(`/candidates${pointer(name)}/${row}`, message)
    }
    if (slot !== undefined) {
      if (slot.group === undefined && seen.has(slot)) encodeColumn(layout, slot, values, encoded, wrong)
    } else if (name === 'id') encoded.ids = takeReserved(values, keyProblem, wrong)
    else if (name === 'bid') encoded.bids = takeReserved(values, bidProblem, wrong)
  }
  for (const group of layout.groups) encodeGroup(group, columns, shared, encoded, bad, problems)
  encoded.oneContext =
    [...seen].every(({ ofContext }) => !ofContext) && byKey.every(({ entity }) => entity.side === 'candidate')
  return withoutBad(encoded, bad, { partial, problems, left }, widthsOf(layout))
}

/** A column of candidates: a value per row, or lists as values and offsets. */
interface GivenColumn {
  name: string
  rows: number
  values: unknown[]
  lists: ListColumn | undefined
}

function columnsOf(layout: Layout, candidates: unknown, problems: Violations): GivenColumn[] {
  const columns: GivenColumn[] = []
  if (!isObject(candidates)) {
    problems.add('/candidates', `must be an object of arrays, not ${describeValue(candidates)}`)
    return columns
  }
  let empty = true
  for (const name in candidates) {
    empty = false
    const values = candidates[name]
    const slot = layout.byName.get(name)
    const path = `/candidates${pointer(name)}`
    if (Array.isArray(values)) columns.push({ name, rows: values.length, values, lists: undefined })
    else if (slot?.group !== undefined && isObject(values)) {
      const lists = readListColumn(slot, values, (place, message) => problems.add(path + place, message))
      if (lists !== undefined) columns.push({ name, rows: lists.offsets.length - 1, values: [], lists })
    } else problems.add(path, `must be an array, not ${describeValue(values)}`)
  }
  if (empty) problems.add('/candidates', 'must have at least one column')
  return columns
}

/** Encodes the columns of a sequence, one row after the other. */
function encodeGroup(
  group: ColumnGroup,
  columns: readonly GivenColumn[],
  { given, lists }: EncodedContext,
  encoded: EncodedRequest,
  bad: Uint8Array,
  problems: Violations,
): void {
  const own = columns.flatMap((column) => {
    const slot = group.members.find(({ name }) => name === column.name)
    return slot === undefined || given.has(slot) ? [] : [{ ...column, slot }]
  })
  if (own.length === 0) return
  const apart = group.members.find((slot) => given.has(slot))
  if (apart !== undefined) {
    problems.add(`/candidates${pointer(own[0]!.name)}`, givenApart(apart))
    problems.throwIfAny()
  }
  lists!.pathOf = ({ name }, row) => `/candidates${pointer(name)}${row === undefined ? '' : `/${row}`}`
  for (let row = 0; row < encoded.rows; row++) {
    for (const { slot, values, lists: column } of own) {
      if (column === undefined) {
        if (!lists!.take(slot, values[row], row)) bad[row] = 1
        continue
      }
      const first = column.offsets[row]!
      const length = column.offsets[row + 1]! - first
      lists!.takeValues(slot, { values: column.values, first, length, weights: column.weights, ofColumn: true }, row)
    }
    if (!lists!.encode(group, encoded, row)) bad[row] = 1
  }
}

/** The fields that columns may give, and give. Missing fields are reported on their own side. */
function checkNames(
  layout: Layout,
  shared: EncodedContext,
  columns: readonly GivenColumn[],
  byKey: readonly KeyColumn[],
  options: EncodeOptions,
  problems: Violations,
): Set<FieldColumn> {
  const seen = new Set<FieldColumn>()
  for (const { name } of columns) {
    const slot = layout.byName.get(name)
    if (slot !== undefined && shared.given.has(slot)) problems.add(`/candidates${pointer(name)}`, givenTwice)
    else if (slot !== undefined) seen.add(slot)
    else if (name !== 'id' && name !== 'bid' && !byKey.some(({ entity }) => entity.key === name))
      problems.add(`/candidates${pointer(name)}`, () => unknownField(name, '/candidates', layout))
  }
  for (const slot of shared.required) {
    if (byKey.some(({ entity }) => entity.slots.has(slot))) continue
    const side = slot.encoder.field.side === 'context' ? '/context' : '/candidates'
    if (!seen.has(slot)) problems.add(`${side}${pointer(slot.name)}`, requiredMessage)
  }
  if (options.bids && !columns.some(({ name }) => name === 'bid')) problems.add('/candidates/bid', bidRequired)
  return seen
}

/** The common length of all columns; adds a problem for each that differs from the first. */
function rowCount(columns: readonly GivenColumn[], problems: Violations): number {
  const [first] = columns
  if (first === undefined) return 0
  if (first.rows === 0) problems.add(`/candidates${pointer(first.name)}`, 'must have at least one value')
  for (const { name, rows } of columns) {
    if (rows === first.rows) continue
    const other = `${JSON.stringify(first.name.slice(0, 64))} has ${first.rows}`
    problems.add(`/candidates${pointer(name)}`, `has ${rows} values where ${other}`)
  }
  return first.rows
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
