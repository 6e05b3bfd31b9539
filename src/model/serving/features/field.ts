import { murmur3 } from '../../../base/hash.ts'
import { farmhash64, xxhash64 } from '../../../base/hash64.ts'
import {
  defaultHash,
  type HashField,
  type IntegerField,
  type NumericField,
  type VectorField,
} from '../../../schemas/features.ts'
import { type InputField, type OwnedField, paddingOf, tableOf } from './table.ts'
import { createVocabulary, type Vocabulary } from './vocabulary.ts'

/**
 * Encodes the values of one field.
 *
 * `encode` returns a number (an id of the shared id space, or a float32) or, as a string, why the value is invalid.
 * `undefined` and `null` are missing values.
 */
export interface FieldEncoder {
  field: InputField
  /**
   * Result of `encode` for a missing value: the encoded default, or the message that a value is required. For a list or
   * a vector that has a default, 0.
   */
  missing: number | string
  encode(value: unknown): number | string
  /** The same for one value of a list, where nothing counts as missing; undefined for a value that is left out. */
  item(value: unknown): number | string | undefined
  /** Results of `item` for the values of a list's or a vector's default, none of which counts as unknown. */
  defaults?: readonly (number | string | undefined)[]
  /** The least number of its column, where that has one. */
  least?: number
}

export interface SparseFieldEncoder extends FieldEncoder {
  field: OwnedField
  /** First id of the field's table in the shared id space. */
  offset: number
  /** Number of ids of its table. */
  ids: number
  /** The id that unknown values take, if they do. */
  bucket: number | undefined
  /** For a field with a vocabulary. */
  vocabulary?: Vocabulary | undefined
  /** Ids to try the graph with: an ordinary one and the largest. */
  plain: number
  largest: number
}

export const requiredMessage = 'is required: the field has no default'
const nullMessage = `${requiredMessage}, and null counts as missing`

/**
 * Unknown values take the field's first id where its policy is `bucket`, so that known ones follow in order.
 * `onUnknown` receives the field of each.
 */
export function createSparseFieldEncoder(
  field: OwnedField,
  offset: number,
  onUnknown?: (field: string) => unknown,
  vocabulary: Vocabulary | undefined = field.kind === 'vocabulary' ? createVocabulary(field.values) : undefined,
): SparseFieldEncoder {
  const item = apartFromPadding(field, offset, known(field, offset, vocabulary, onUnknown), onUnknown)
  // A default outside the vocabulary was not sent by a client, so it is not counted. It is looked up without filling
  // the table: many encoders of a large vocabulary look up no other value.
  const search = field.kind === 'vocabulary' ? searchOf(field.values) : undefined
  const uncounted = known(field, offset, search)
  const missing = missingCode(field, uncounted)
  const { ids, bucket } = tableOf(field)
  return {
    field,
    defaults: defaultCodes(field, apartFromPadding(field, offset, uncounted)),
    offset,
    ids,
    bucket: bucket === undefined ? undefined : offset + bucket,
    vocabulary,
    plain: offset,
    largest: offset + ids - 1,
    missing,
    encode: (value) => (value === undefined || value === null ? missingValue(value, missing) : (item(value) as number)),
    item,
  }
}

/** A list's value that has the id of padding can't be distinguished from none: it counts as unknown. */
function apartFromPadding(
  field: OwnedField,
  offset: number,
  item: FieldEncoder['item'],
  onUnknown?: (field: string) => unknown,
): FieldEncoder['item'] {
  const table = tableOf(field)
  const row = paddingOf(field)
  // Ids before the first known one are no value's.
  if (field.list === undefined || row < table.first) return item
  const padding = offset + row
  return (value) => {
    const code = item(value)
    if (code !== padding) return code
    if (field.kind === 'hash' || field.out_of_vocabulary === 'error') return `has the id of padding, ${row}`
    onUnknown?.(field.name)
    return field.out_of_vocabulary === 'drop' ? undefined : offset + table.bucket!
  }
}

/** The code of a default, or the message that a value is required; 0 for the default of a list. */
function missingCode({ missing, list }: Exclude<InputField, { kind: 'vector' }>, item: FieldEncoder['item']) {
  if (missing === 'error') return requiredMessage
  return list === undefined ? item(missing.default)! : 0
}

/** The codes of the values of a default. */
function defaultCodes({ missing }: InputField, item: FieldEncoder['item']): FieldEncoder['defaults'] & {} {
  return missing !== 'error' && Array.isArray(missing.default) ? missing.default.map((value) => item(value)) : []
}

/**
 * An integer column of a manifestless graph's input `name`: rows of a table of `ids`, or any int32 if that is not
 * known. Requests cannot name it, so it encodes nothing.
 */
export function createBareIntegerEncoder(name: string, ids: number | undefined): SparseFieldEncoder {
  const size = ids ?? 2 ** 31 - 2
  const field: OwnedField = {
    name,
    side: 'candidate',
    kind: 'integer',
    size,
    out_of_vocabulary: 'error',
    missing: 'error',
  }
  const refuse = () => requiredMessage
  const nothing = { field, missing: requiredMessage, encode: refuse, item: refuse, bucket: undefined }
  // The largest id is tried with the graph, which is pointless for values that are not ids.
  if (ids === undefined) return { ...nothing, offset: -(2 ** 31), ids: 2 ** 32, plain: 0, largest: 0 }
  return { ...nothing, offset: 0, ids, plain: 0, largest: ids - 1 }
}

/** A numeric column of a manifestless graph's input `name`. */
export function createBareNumberEncoder(name: string): FieldEncoder {
  return createNumericFieldEncoder({
    name,
    side: 'candidate',
    kind: 'numeric',
    scaling: { method: 'none' },
    missing: 'error',
  })
}

/**
 * Values beyond the range of training are encoded as the floats next to its scaled ends, so that they differ from
 * those at an end; `onUnknown` receives the field of each.
 */
export function createNumericFieldEncoder(
  field: NumericField,
  onUnknown?: (field: string) => unknown,
): FieldEncoder & { field: NumericField } {
  const scale = scaler(field)
  const bounds = boundsOf(field)
  const encodeScaled = (value: unknown): number | string => {
    if (typeof value !== 'number') return `must be a number, not ${describeValue(value)}`
    if (!Number.isFinite(value)) return 'must be finite'
    const scaled = scale(value)
    if (typeof scaled === 'string') return scaled
    const rounded = Math.fround(scaled)
    if (bounds && !(rounded > bounds.low && rounded < bounds.high))
      return rounded < bounds.high ? bounds.low : bounds.high
    return Number.isFinite(rounded) ? rounded : 'is too large for float32'
  }
  const encodeNumber = bounds && onUnknown ? counted(encodeScaled, bounds, () => onUnknown(field.name)) : encodeScaled
  const missing = missingCode(field, encodeScaled)
  const encode = (value: unknown) =>
    value === undefined || value === null ? missingValue(value, missing) : encodeNumber(value)
  return { field, missing, encode, item: encodeNumber, defaults: defaultCodes(field, encodeScaled) }
}

/** Encodes one number of a vector. */
export function createVectorEncoder(field: VectorField): FieldEncoder & { field: VectorField } {
  const { item } = createBareNumberEncoder(field.name)
  const missing = field.missing === 'error' ? requiredMessage : 0
  return { field, missing, encode: item as FieldEncoder['encode'], item, defaults: defaultCodes(field, item) }
}

/** Encodes one weight of a list. */
export function createWeightEncoder(field: InputField): FieldEncoder {
  const { item } = createBareNumberEncoder(field.name)
  return { field, missing: 0, encode: item as FieldEncoder['encode'], item, least: 0 }
}

/** The encoded forms of values below and above the range of training; undefined where numbers are not clipped. */
export function boundsOf(field: NumericField): { low: number; high: number } | undefined {
  const { scaling } = field
  if (scaling.method !== 'standard' || scaling.range === undefined) return undefined
  const scale = scaler(field)
  const [least, largest] = scaling.range.map((x) => Math.fround(Number(scale(x)))) as [number, number]
  return { low: -nextFloat(-least), high: nextFloat(largest) }
}

/** The float32 above another. */
function nextFloat(value: number): number {
  const float = Float32Array.of(value)
  const bits = new Int32Array(float.buffer)
  if (value === 0) bits[0] = 1
  else bits[0]! += value > 0 ? 1 : -1
  return float[0]!
}

function counted(
  encode: (value: unknown) => number | string,
  { low, high }: { low: number; high: number },
  count: () => void,
): (value: unknown) => number | string {
  return (value) => {
    const code = encode(value)
    if (code === low || code === high) count()
    return code
  }
}

/** The encoded default of a missing value, or the message that a value is required. */
function missingValue(value: null | undefined, missing: number | string): number | string {
  return missing === requiredMessage ? missingMessage(value) : missing
}

/** The message for a missing value that has no default. */
export const missingMessage = (value: null | undefined): string => (value === null ? nullMessage : requiredMessage)

/** A linear search. */
function searchOf(values: readonly string[]): Pick<Vocabulary, 'indexOf'> {
  return {
    indexOf(value) {
      const index = values.indexOf(value)
      return index < 0 ? undefined : index
    },
  }
}

function known(
  field: OwnedField,
  offset: number,
  vocabulary?: Pick<Vocabulary, 'indexOf'>,
  onUnknown?: (field: string) => unknown,
): FieldEncoder['item'] {
  const table = tableOf(field)
  const first = offset + table.first
  if (field.kind === 'hash') return hashed(field, first)
  const { out_of_vocabulary } = field
  const bucket = offset + (table.bucket ?? 0)
  const unknown = (message: string) => {
    if (out_of_vocabulary === 'error') return message
    onUnknown?.(field.name)
    return out_of_vocabulary === 'drop' ? undefined : bucket
  }
  if (vocabulary !== undefined) {
    return (value) => {
      if (typeof value !== 'string') return `must be a string, not ${describeValue(value)}`
      const index = vocabulary.indexOf(value)
      return index === undefined
        ? unknown(`is not in the field's vocabulary: ${JSON.stringify(value.slice(0, 64))}`)
        : first + index
    }
  }
  const { size } = field as IntegerField
  return (value) => {
    if (typeof value !== 'number') return `must be an integer, not ${describeValue(value)}`
    if (!Number.isSafeInteger(value)) return 'must be an integer'
    return value >= 0 && value < size ? first + value : unknown(`must be from 0 to ${size - 1}`)
  }
}

/** MurmurHash3 has a function of its own, into which V8 inlines it, whatever other fields are hashed by. */
function hashed({ hash = defaultHash, buckets, seed = 0 }: HashField, offset: number): FieldEncoder['encode'] {
  if (hash === 'murmur3')
    return (value) =>
      typeof value === 'string'
        ? offset + (murmur3(value, seed) % buckets)
        : `must be a string, not ${describeValue(value)}`
  const bucketOf = hash === 'farmhash64' ? farmhash64(buckets) : xxhash64(buckets, seed)
  return (value) =>
    typeof value === 'string' ? offset + bucketOf(value) : `must be a string, not ${describeValue(value)}`
}

function scaler({ scaling }: NumericField): (value: number) => number | string {
  switch (scaling.method) {
    case 'none':
      return (value) => value
    case 'standard':
      return (value) => (value - scaling.mean) / scaling.deviation
    case 'min_max':
      return (value) => (value - scaling.min) / (scaling.max - scaling.min)
    case 'log1p':
      return (value) => (value > -1 ? Math.log1p(value) / scaling.scale : 'must be greater than −1')
  }
}

/** The kind of a JSON value, for messages. */
export function describeValue(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  return typeof value === 'undefined' ? 'absent' : `a ${typeof value}`
}
