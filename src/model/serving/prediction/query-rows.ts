import { isObject } from '../../../schemas/json.ts'
import { KeyList } from '../../contracts/key-list.ts'
import type { Encoder } from '../features/encoder.ts'
import type { EntityCount } from '../features/entity-counts.ts'
import { type ListNotes, unknownTest } from '../features/field-column.ts'
import { allocateRows, type EncodedRequest, type EncodeOptions, type Layout } from '../features/layout.ts'
import { encodeInputs } from './encode-inputs.ts'
import type { InputTensor } from './tensors.ts'

/** Rows in one of the four forms of a request, values unchecked. */
export type QueryRows =
  /** `candidates`: an array, or a KeyList. */
  | { form: 'rows'; context: unknown; candidates: unknown }
  | { form: 'columns'; context: unknown; candidates: unknown }
  | { form: 'tensors'; sparse: unknown; dense: unknown }
  /** By the names of `LoadedModel.tensors`: each nested arrays [rows, …dims] or a NumberMatrix. */
  | { form: 'inputs'; inputs: Record<string, unknown> }
  /** Encoded elsewhere. How many values of which field the model doesn't know, and how many were cut from lists. */
  | {
      form: 'encoded'
      encoded: EncodedRequest
      unknown: ReadonlyMap<string, number>
      cut: ReadonlyMap<string, number>
      /** Keys by entity. */
      keys: ReadonlyMap<string, EntityCount>
    }

/** As tensors, in whichever form they are. Throws like the encoder. */
export function encodeQuery(
  rows: QueryRows,
  encoder: Encoder,
  inputs: readonly InputTensor[],
  options: EncodeOptions,
): EncodedRequest {
  switch (rows.form) {
    case 'rows':
      return withNotes(encoder.rows(rows.context, rows.candidates, options), options)
    case 'columns':
      return withNotes(encoder.columns(rows.context, rows.candidates, options), options)
    case 'tensors':
      return encoder.tensors(rows.sparse, rows.dense, options)
    case 'inputs':
      return encodeInputs(encoder, inputs, rows.inputs, options)
    case 'encoded':
      options.problems?.throwIfAny()
      return moved(rows.encoded, encoder, options)
  }
}

const withNotes = (encoded: EncodedRequest, { fetched }: EncodeOptions): EncodedRequest =>
  fetched === undefined ? encoded : { ...encoded, fetched }

/** Rows of a request before they are encoded; 0 where that is not known. */
export function rowsIn(rows: QueryRows): number {
  if (rows.form === 'encoded') return rows.encoded.rows
  if (rows.form === 'rows')
    return Array.isArray(rows.candidates) || rows.candidates instanceof KeyList ? rows.candidates.length : 1
  const columns = rows.form === 'columns' && isObject(rows.candidates) ? Object.values(rows.candidates) : []
  return columns.reduce((most: number, column) => Math.max(most, Array.isArray(column) ? column.length : 0), 0)
}

/** Rows that were encoded elsewhere, in the memory that this request has for them. */
function moved(encoded: EncodedRequest, { layout }: Encoder, options: EncodeOptions): EncodedRequest {
  if (options.allocate === undefined || encoded.rows === 0) return encoded
  const { sparse, dense } = allocateRows(layout, encoded.rows, options)
  sparse.set(encoded.sparse)
  dense.set(encoded.dense)
  return { ...encoded, sparse, dense }
}

type CountValues = (field: string, values: number) => void
type CountKeys = (entity: string, found: number, unknown: readonly string[], count: number) => void

/** Reports the unknown and the cut values, and the keys, of rows that were encoded elsewhere. */
export function countValues(
  { unknown, cut, keys }: Extract<QueryRows, { form: 'encoded' }>,
  { onUnknown, onCut, onKeys }: { onUnknown?: CountValues; onCut?: CountValues; onKeys?: CountKeys },
): void {
  for (const [entity, { found, unknown, examples }] of keys) onKeys?.(entity, found, examples, unknown)
  for (const [field, count] of unknown) onUnknown?.(field, count)
  for (const [field, count] of cut) onCut?.(field, count)
}

/** The same, with what the model doesn't know of each row, and the lists that are cut. Throws like the encoder. */
export function encodeExplained(
  rows: QueryRows,
  encoder: Encoder,
  inputs: readonly InputTensor[],
  options: EncodeOptions,
): EncodedRequest {
  if (rows.form === 'encoded') return encodeQuery(rows, encoder, inputs, options)
  const { layout } = encoder
  if (layout.groups.length === 0) {
    const encoded = encodeQuery(rows, encoder, inputs, options)
    return { ...encoded, unknown: unknownOf(rows, layout, encoded) }
  }
  const notes = new RowNotes()
  const encoded = encodeQuery(rows, encoder, inputs, { ...options, notes })
  const unknown = unknownOf(rows, layout, encoded)
  const most = Math.max(1, Math.min(mostOfRow, Math.floor(mostOfRequest / encoded.requested)))
  return {
    ...encoded,
    unknown: unknown.map((names, row) => names && [...names, ...notes.of(notes.unknownValues, row).slice(0, most)]),
    cut: unknown.map((names, row) => names && notes.of(notes.cutLists, row)),
  }
}

/**
 * Unknown values of lists that are named for a row, and for all rows of a request: every row names those of the
 * context, so that 20,000 of them beside 1,000 candidates were a response of 330 MB.
 */
const mostOfRow = 100
const mostOfRequest = 100_000

/** Notes on the values of lists, for each row of the request; those of the context belong to all rows. */
class RowNotes implements ListNotes {
  readonly unknownValues = new Map<number | undefined, string[]>()
  readonly cutLists = new Map<number | undefined, string[]>()

  unknown(row: number | undefined, field: string, position: number): void {
    if ((this.unknownValues.get(row)?.length ?? 0) < mostOfRow) add(this.unknownValues, row, `${field}[${position}]`)
  }

  cut(row: number | undefined, field: string): void {
    add(this.cutLists, row, field)
  }

  of(notes: ReadonlyMap<number | undefined, string[]>, row: number): string[] {
    return [...(notes.get(undefined) ?? []), ...(notes.get(row) ?? [])]
  }
}

function add(notes: Map<number | undefined, string[]>, row: number | undefined, note: string): void {
  const before = notes.get(row)
  if (before === undefined) notes.set(row, [note])
  else before.push(note)
}

/** Per row of the request, the fields with a value that the model doesn't know. */
function unknownOf(
  rows: Exclude<QueryRows, { form: 'encoded' }>,
  layout: Layout,
  encoded: EncodedRequest,
): (string[] | undefined)[] {
  if (rows.form === 'tensors' || rows.form === 'inputs') return unknownFields(layout, encoded, () => true)
  const { form, context } = rows
  const candidates = rows.candidates as Record<string | number, unknown> | undefined
  const given = (row: number, name: string) =>
    valueAt(context, name) != null ||
    valueAt(form === 'rows' ? candidates?.[row] : valueAt(candidates, name), form === 'rows' ? name : row) != null
  return unknownFields(layout, encoded, given)
}

function valueAt(holder: unknown, key: string | number): unknown {
  if (!isObject(holder) && !Array.isArray(holder)) return undefined
  return Object.hasOwn(holder, key) ? (holder as Record<string | number, unknown>)[key] : undefined
}

/**
 * Per row of the request, the fields whose value is outside the model's vocabulary or range, in manifest order;
 * undefined for a row that was left out. `given` says whether the request has a value for a field in a row: a default
 * outside the vocabulary does not count.
 */
export function unknownFields(
  { slots, sparse, dense }: Layout,
  encoded: Pick<EncodedRequest, 'requested' | 'rows' | 'sparse' | 'dense' | 'index'>,
  given: (row: number, name: string) => boolean,
): (string[] | undefined)[] {
  const fields = slots.flatMap(({ name, column, sparse: isSparse, group, encoder }) => {
    const { missing } = encoder
    const isUnknown = unknownTest(encoder)
    if (isUnknown === undefined || group !== undefined) return []
    const [values, width] = isSparse ? [encoded.sparse, sparse.length] : [encoded.dense, dense.length]
    const byDefault = typeof missing === 'number' && isUnknown(missing)
    return [{ name, byDefault, isUnknownIn: (entry: number) => isUnknown(values[entry * width + column]!) }]
  })
  const unknown = new Array<string[] | undefined>(encoded.requested)
  for (let entry = 0; entry < encoded.rows; entry++) {
    const row = encoded.index?.[entry] ?? entry
    const names: string[] = []
    for (const { name, byDefault, isUnknownIn } of fields)
      if (isUnknownIn(entry) && (!byDefault || given(row, name))) names.push(name)
    unknown[row] = names
  }
  return unknown
}
