import { ModelError } from '../../../base/errors.ts'
import { suggestNames } from '../../../base/names.ts'
import { isObject, pointer } from '../../../schemas/json.ts'
import { keyProblem, keyText } from './entities.ts'
import { FetchedRows, type LeftOut, widthsOf } from './fetched.ts'
import { describeValue } from './field.ts'
import type { FieldColumn } from './field-column.ts'
import { allocateRows, type EncodedRequest, type EncodeOptions, type Layout } from './layout.ts'
import { ListEncoder } from './lists.ts'
import { maxViolations, type Violations } from './problems.ts'

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
  options: Pick<EncodeOptions, 'maxValues' | 'notes' | 'fetched'> = {},
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
        if (layout.entities?.byKey.get(name)?.side === 'context') continue
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
  if (layout.entities !== undefined && isObject(context)) fetchContext(layout, context, encoded, problems, options)
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

/** Fills in what tables have by the keys in the context, behind what it gives. */
function fetchContext(
  layout: Layout,
  context: Record<string, unknown>,
  encoded: EncodedContext,
  problems: Violations,
  { fetched: notes }: Pick<EncodeOptions, 'fetched'>,
): void {
  const filled = new Set<FieldColumn>()
  for (const entity of layout.entities!.context) {
    if (!Object.hasOwn(context, entity.key)) continue
    const path = `/context${pointer(entity.key)}`
    const key = readKey(context[entity.key], path, problems)
    const rows = new FetchedRows(entity, [key])
    const place = { path, isSent: (slot: FieldColumn) => encoded.given.has(slot) }
    rows.fill(encoded, widthsOf(layout), encoded.given)
    if (!rows.isFound(0)) {
      // A wrong key is one problem, and not another for each field.
      if (key === undefined || entity.unknown !== 'defaults') for (const slot of entity.slots) filled.add(slot)
      if (key !== undefined && entity.unknown !== 'defaults') problems.add(path, entity.unknownKey(key))
    } else {
      const absent = rows.absent(0, place)
      absent.push(...rows.takeLists(0, place, encoded.lists, undefined))
      for (const value of absent) if (value.wrong !== undefined) problems.add(path, entity.absentValue(value, key!))
      // Candidates may give what the table lacks.
      for (const slot of entity.slots)
        if (!absent.some((value) => value.slot === slot && value.wrong === undefined)) filled.add(slot)
    }
    rows.note(0, place, notes, undefined)
  }
  encoded.required = encoded.required.filter((slot) => !filled.has(slot))
}

/** The text of a key; undefined, and a problem, where it is none. */
export function readKey(value: unknown, path: string, problems: Violations): string | undefined {
  const key = keyText(value)
  if (key === undefined && !problems.full) problems.add(path, keyProblem(value)!)
  return key
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

/** The rows that are good, or INVALID_REQUEST, unless bad ones are left out. */
export function withoutBad(
  encoded: EncodedRequest,
  bad: Uint8Array,
  { partial, problems, left }: { partial: boolean; problems: Violations; left: LeftOut | undefined },
  widths: { sparse: number; dense: number },
): EncodedRequest {
  const anyLeft = left?.any === true
  if (problems.list.length === 0 && !anyLeft) return encoded
  if (!partial) problems.throwIfAny()
  const listed = anyLeft ? [...left.list, ...problems.list].slice(0, maxViolations) : problems.list
  return keepGoodRows({ ...encoded, problems: listed }, bad, widths)
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
