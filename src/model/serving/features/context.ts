import { ModelError } from '../../../base/errors.ts'
import { suggestNames } from '../../../base/names.ts'
import { isObject, pointer } from '../../../schemas/json.ts'
import { describeValue } from './field.ts'
import type { FieldColumn } from './field-column.ts'
import { allocateRows, type EncodedRequest, type EncodeOptions, type Layout } from './layout.ts'
import { ListEncoder } from './lists.ts'
import type { Violations } from './problems.ts'

/** The encoded context: a row to copy, in which only the candidate's fields are to be filled in. */
export interface EncodedContext {
  /** int32 [sparse columns] and float32 [dense columns]: the context's values, and the defaults of all other fields. */
  sparse: Int32Array
  dense: Float32Array
  /** Fields that the context gives. */
  given: Set<FieldColumn>
  /** Fields without a default that each candidate must give. */
  required: FieldColumn[]
  /** Encodes lists and vectors; undefined for a model that has none. */
  lists: ListEncoder | undefined
}

/** Encodes what holds for all candidates. Problems are collected, not thrown. */
export function encodeContext(
  layout: Layout,
  context: unknown,
  problems: Violations,
  options: Pick<EncodeOptions, 'maxValues' | 'notes'> = {},
): EncodedContext {
  const widths = { sparse: layout.sparse.length, dense: layout.dense.length }
  const encoded: EncodedContext = {
    sparse: new Int32Array(widths.sparse),
    dense: new Float32Array(widths.dense),
    given: new Set(),
    required: [],
    lists:
      layout.groups.length === 0
        ? undefined
        : new ListEncoder(layout.groups, widths, problems, placeInContext, options),
  }
  const isContext = context === undefined || isObject(context)
  if (!isContext) problems.add('/context', `must be an object, not ${describeValue(context)}`)
  else if (context !== undefined) {
    // Not Object.entries, which takes seconds for a million keys.
    for (const name in context) {
      const value = context[name]
      const slot = layout.byName.get(name)
      if (slot === undefined) {
        if (layout.entities?.context.some(({ key }) => key === name)) continue
        problems.add(`/context${pointer(name)}`, () => unknownField(name, '/context', layout))
        continue
      }
      encoded.given.add(slot)
      if (slot.group !== undefined) {
        encoded.lists!.take(slot, value, undefined)
        continue
      }
      const code = slot.encoder.encode(value)
      if (typeof code === 'string') problems.add(`/context${pointer(name)}`, code)
      else if (slot.sparse) encoded.sparse[slot.column] = code
      else encoded.dense[slot.column] = code
    }
  }
  setDefaults(layout, encoded, isContext)
  if (layout.entities !== undefined && isObject(context)) fetchContext(layout, context, encoded, problems)
  // Lists that the context doesn't give have their defaults, or wait for those of candidates.
  for (const group of layout.groups) encoded.lists!.encode(group, encoded, undefined)
  return encoded
}

/** Fields that the context does not give have their defaults, or are required of candidates. */
function setDefaults(layout: Layout, encoded: EncodedContext, isContext: boolean): void {
  for (const slot of layout.slots) {
    if (encoded.given.has(slot)) continue
    const { missing } = slot.encoder
    if (typeof missing === 'string') {
      // A context that is no object is one problem, not one for each of its fields.
      if (isContext || slot.encoder.field.side !== 'context') encoded.required.push(slot)
    } else if (slot.group !== undefined) continue
    else if (slot.sparse) encoded.sparse[slot.column] = missing
    else encoded.dense[slot.column] = missing
  }
}

/**
 * Fills in what tables have by the keys in the context, behind what it gives.
 */
function fetchContext(
  layout: Layout,
  context: Record<string, unknown>,
  encoded: EncodedContext,
  problems: Violations,
): void {
  const filled = new Set<FieldColumn>()
  const widths = { sparse: layout.sparse.length, dense: layout.dense.length }
  for (const entity of layout.entities!.context) {
    if (!Object.hasOwn(context, entity.key)) continue
    const path = `/context${pointer(entity.key)}`
    const key = entity.keyOf(context[entity.key], path, problems)
    const row = key === undefined ? -1 : entity.find([key])[0]!
    if (key !== undefined && row < 0 && !entity.refuses) continue
    if (key !== undefined && row < 0) problems.add(path, entity.unknownKey(key))
    const lists = encoded.lists && { encoder: encoded.lists, row: undefined }
    const isSent = (name: string) => Object.hasOwn(context, name)
    const absent = row < 0 ? [] : entity.fill(row, encoded, 0, widths, lists, isSent)
    for (const value of absent) if (value.wrong !== undefined) problems.add(path, entity.absentValue(value, key!))
    // A wrong key, or a wrong value, is one problem, and not another for each field.
    for (const slot of entity.slots)
      if (!absent.some((value) => value.slot === slot && value.wrong === undefined)) filled.add(slot)
  }
  encoded.required = encoded.required.filter((slot) => !filled.has(slot))
}

const placeInContext = ({ name }: FieldColumn) => `/context${pointer(name)}`

/** Tensors for `rows` rows, each a copy of the context's. */
export function repeatContext(
  layout: Layout,
  context: EncodedContext,
  rows: number,
  options: EncodeOptions,
): Pick<EncodedRequest, 'rows' | 'sparse' | 'dense'> {
  const { sparse, dense } = allocateRows(layout, rows, options)
  repeat(context.sparse, sparse)
  repeat(context.dense, dense)
  return { rows, sparse, dense }
}

/**
 * Fills [rows, width] with copies of one row, which may be its first, by doubling, so that most of the copying is done
 * in large blocks.
 */
export function repeat<T extends Int32Array | Float32Array>(row: T, all: T): void {
  if (all.length === 0) return
  all.set(row)
  for (let filled = row.length; filled < all.length; filled *= 2) all.copyWithin(filled, 0, filled)
}

/** Removes bad rows, in place. */
export function keepGoodRows(
  encoded: EncodedRequest,
  bad: Uint8Array,
  widths: { sparse: number; dense: number },
): EncodedRequest {
  const index = new Int32Array(encoded.rows)
  let kept = 0
  for (let row = 0; row < encoded.rows; row++) {
    if (bad[row]) continue
    if (kept !== row) {
      encoded.sparse.copyWithin(kept * widths.sparse, row * widths.sparse, (row + 1) * widths.sparse)
      encoded.dense.copyWithin(kept * widths.dense, row * widths.dense, (row + 1) * widths.dense)
    }
    index[kept++] = row
  }
  return {
    ...encoded,
    rows: kept,
    sparse: encoded.sparse.subarray(0, kept * widths.sparse),
    dense: encoded.dense.subarray(0, kept * widths.dense),
    index: index.subarray(0, kept),
  }
}

export function checkRowCount(rows: number, options: Pick<EncodeOptions, 'maxRows'>): void {
  if (rows > options.maxRows) {
    throw new ModelError('TOO_MANY_ROWS', `The request has ${rows} rows; at most ${options.maxRows} are allowed`)
  }
}

/** The problem of an `id`, if any. */
export function idProblem(value: unknown): string | undefined {
  if (typeof value === 'string' || Number.isSafeInteger(value)) return undefined
  if (typeof value !== 'number') return `must be a string or an integer, not ${describeValue(value)}`
  return Number.isInteger(value) ? 'is beyond ±(2^53 − 1): send it as a string' : 'must be a string or an integer'
}

/** The problem of a `bid`, if any. */
export function bidProblem(value: unknown): string | undefined {
  if (typeof value !== 'number') return `must be a number, not ${describeValue(value)}`
  if (!(Number.isFinite(value) && value >= 0)) return 'must be a finite number of at least 0'
  // The score at probability 1, which must be finite too.
  return Number.isFinite(1000 * value) ? undefined : 'is too large'
}

/** The problem of a name that is not a field. */
export function unknownField(name: string, parent: '/context' | '/candidates', { slots, crossed }: Layout): string {
  const made = crossed.find(({ field }) => field.name === name)
  if (made !== undefined) return `is computed from ${made.field.of.join(' × ')}: leave it out`
  const inContext = parent === '/context'
  if (inContext && (name === 'id' || name === 'bid')) return "belongs to a candidate and can't be given in the context"
  const known = slots.map((slot) => slot.name)
  return `is not a field of this model${suggestNames(name, inContext ? known : [...known, 'id', 'bid'])}`
}

export const givenTwice = 'is already given in the context'

/** The problem of a sequence that the context gives in part. */
export function givenApart({ name }: FieldColumn): string {
  return `is of the same sequence as ${JSON.stringify(name)}, which the context gives: give both in one place`
}

export const bidRequired = 'is required to rank by ecpm'
export const noBids = 'ecpm needs bids, which only candidates have'
