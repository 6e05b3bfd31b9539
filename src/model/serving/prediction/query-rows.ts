import type { Field } from '../../../schemas/features.ts'
import { isObject } from '../../../schemas/json.ts'
import type { Encoder } from '../features/encoder.ts'
import { boundsOf } from '../features/field.ts'
import { allocateRows, type EncodedRequest, type EncodeOptions, type Layout } from '../features/layout.ts'
import { encodeInputs, type InputTensor } from './tensors.ts'

/** Rows in one of the four forms of a request, values unchecked. */
export type QueryRows =
  | { form: 'rows'; context: unknown; candidates: unknown }
  | { form: 'columns'; context: unknown; candidates: unknown }
  | { form: 'tensors'; sparse: unknown; dense: unknown }
  /** By the names of `LoadedModel.tensors`: each nested arrays [rows, …dims] or a NumberMatrix. */
  | { form: 'inputs'; inputs: Record<string, unknown> }
  /** Encoded elsewhere. `unknown`: how often a value of which field was not in its vocabulary. */
  | { form: 'encoded'; encoded: EncodedRequest; unknown: ReadonlyMap<string, number> }

/** As tensors, in whichever form they are. Throws like the encoder. */
export function encodeQuery(
  rows: QueryRows,
  encoder: Encoder,
  inputs: readonly InputTensor[],
  options: EncodeOptions,
): EncodedRequest {
  switch (rows.form) {
    case 'rows':
      return encoder.rows(rows.context, rows.candidates, options)
    case 'columns':
      return encoder.columns(rows.context, rows.candidates, options)
    case 'tensors':
      return encoder.tensors(rows.sparse, rows.dense, options)
    case 'inputs':
      return encodeInputs(encoder, inputs, rows.inputs, options)
    case 'encoded':
      options.problems?.throwIfAny()
      return moved(rows.encoded, encoder, options)
  }
}

/** Rows that were encoded elsewhere, in the memory that this request has for them. */
function moved(encoded: EncodedRequest, { layout }: Encoder, options: EncodeOptions): EncodedRequest {
  if (options.allocate === undefined || encoded.rows === 0) return encoded
  const { sparse, dense } = allocateRows(layout, encoded.rows, options)
  sparse.set(encoded.sparse)
  dense.set(encoded.dense)
  return { ...encoded, sparse, dense }
}

/** Per row of the request, the fields with a value that the model doesn't know. */
export function unknownOf(rows: QueryRows, layout: Layout, encoded: EncodedRequest): (string[] | undefined)[] {
  if (rows.form === 'encoded') return rows.encoded.unknown ?? []
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
  const fields = slots.flatMap(({ name, column, encoder: { field, missing } }) => {
    const isUnknown = unknownTest(field, sparse[column]?.offset)
    if (isUnknown === undefined) return []
    const [values, width] = field.kind === 'numeric' ? [encoded.dense, dense.length] : [encoded.sparse, sparse.length]
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

/** Whether an encoded value is unknown; undefined where none is. `offset`: a sparse field's first id. */
function unknownTest(field: Field, offset: number | undefined): ((code: number) => boolean) | undefined {
  if (field.kind === 'numeric') {
    const bounds = boundsOf(field)
    return bounds && ((code) => code <= bounds.low || code >= bounds.high)
  }
  // The bucket is the field's first id.
  return field.kind !== 'hash' && field.out_of_vocabulary === 'bucket' ? (code) => code === offset : undefined
}
