import Type, { type Static } from 'typebox'
import { longestList, several } from './list-options.ts'

/*
 * A model's input fields. Sparse fields (vocabulary, hash, integer) become rows of one embedding table: each takes the
 * next `rows` ids in manifest order. Dense fields (numeric, vector) become columns of one float32 matrix, in manifest
 * order. A list of at most n values takes n columns, filled up with padding. Crossed fields, made of sparse ones, are
 * sparse columns after all others; one made of a list has as many as the list.
 */

export const longestFieldName = 128

/** A field's name: a key of requests, in which `__proto__` is refused. */
export const FieldName = Type.String({
  minLength: 1,
  maxLength: longestFieldName,
  pattern: '^(?!(?:id|bid|__proto__)$)[^\\u0000-\\u001f\\u007f-\\u009f]+$',
  description: 'Name of the field in requests, without control characters; `id`, `bid` and `__proto__` are reserved',
})

export type Side = Static<typeof Side>
export const Side = Type.Union([Type.Literal('context'), Type.Literal('candidate'), Type.Literal('cross')], {
  description:
    'What the value depends on: `context` the user and the page, `candidate` the ad alone (the same in every request), `cross` both',
})

const unknownValues =
  'What an unknown value does: takes an id kept for this (`bucket`), is refused (`error`), or is left out of its list (`drop`)'

const policies = Type.Union([Type.Literal('bucket'), Type.Literal('error'), Type.Literal('drop')])

const OutOfVocabulary = { ...policies, default: 'bucket', description: unknownValues }

/** A value to take where a request has none; for a list, its values. */
const missing = <T extends Type.TSchema>(value: T) =>
  Type.Union(
    [
      Type.Literal('error'),
      Type.Object({ default: Type.Union([value, Type.Array(value)]) }, { additionalProperties: false }),
    ],
    {
      default: 'error',
      description:
        'What an absent or null value does: is refused (`error`), or counts as `default` (of a list, an array)',
    },
  )

/** Where values of requests are kept. */
export const LoggedAs = Type.Optional(
  Type.Union([Type.Literal('hash'), Type.Literal('drop')], {
    description:
      'Where requests are kept (`MULTIGATE_SLOW_BODIES`, `MULTIGATE_PREDICTION_LOG`): as a hash, or not at all; default: unchanged',
  }),
)

/** Whether rows of the table may change. */
const Live = Type.Optional(
  Type.Boolean({
    description:
      "Rows of the field's table may be replaced while the version is served, by delta files; default: false",
  }),
)

export type VocabularyField = Static<typeof VocabularyField>
export const VocabularyField = Type.Object(
  {
    name: FieldName,
    side: Side,
    kind: Type.Literal('vocabulary'),
    values: Type.Array(Type.String(), { minItems: 1, uniqueItems: true, description: 'The known values, in id order' }),
    out_of_vocabulary: OutOfVocabulary,
    missing: missing(Type.String()),
    ...several,
    live: Live,
    log: LoggedAs,
  },
  { additionalProperties: false, description: 'A string looked up in a list' },
)

/** The hash of a field that names none. */
export const defaultHash = 'murmur3'

export type HashName = Static<typeof HashName>
export const HashName = Type.Union([Type.Literal('murmur3'), Type.Literal('farmhash64'), Type.Literal('xxhash64')], {
  description:
    "The hash of a string's UTF-8 bytes, an unsigned integer: `murmur3` is MurmurHash3_x86_32 (default), `farmhash64` FarmHash's Fingerprint64, as in TensorFlow's to_hash_bucket_fast, `xxhash64` XXH64",
})

/** The properties that say how a string is hashed. */
export const hashParts = {
  hash: Type.Optional(HashName),
  buckets: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1, description: 'Number of ids' }),
  seed: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 2 ** 32 - 1,
      default: 0,
      description: 'Seed of the hash; farmhash64 has none',
      leftOut: { beside: ['hash', 'farmhash64'], because: 'farmhash64 has no seed' },
    }),
  ),
}

/** Whether the table of a field that is no list has a row for padding. */
export const Padded = Type.Optional(
  Type.Boolean({
    description:
      'The table has one more row, the first, for places without a value in lists that share it; default: false',
  }),
)

export type HashField = Static<typeof HashField>
export const HashField = Type.Object(
  {
    name: FieldName,
    side: Side,
    kind: Type.Literal('hash'),
    ...hashParts,
    padded: Padded,
    missing: missing(Type.String()),
    ...several,
    live: Live,
    log: LoggedAs,
  },
  {
    additionalProperties: false,
    description: 'A string hashed to an id: its hash modulo `buckets`',
  },
)

export type IntegerField = Static<typeof IntegerField>
export const IntegerField = Type.Object(
  {
    name: FieldName,
    side: Side,
    kind: Type.Literal('integer'),
    size: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 2, description: 'Known ids are 0 … size − 1' }),
    out_of_vocabulary: OutOfVocabulary,
    missing: missing(Type.Integer()),
    ...several,
    live: Live,
    log: LoggedAs,
  },
  { additionalProperties: false, description: 'An integer that is an id already' },
)

export type Scaling = Static<typeof Scaling>
export const Scaling = Type.Union(
  [
    Type.Object({ method: Type.Literal('none') }, { additionalProperties: false, description: 'x' }),
    Type.Object(
      {
        method: Type.Literal('standard'),
        mean: Type.Number(),
        deviation: Type.Number({ exclusiveMinimum: 0 }),
        range: Type.Optional(
          Type.Array(Type.Number(), {
            minItems: 2,
            maxItems: 2,
            description: 'Least and largest x of training; beyond them x is clipped, and counts as unknown',
          }),
        ),
      },
      { additionalProperties: false, description: '(x − mean) / deviation' },
    ),
    Type.Object(
      { method: Type.Literal('min_max'), min: Type.Number(), max: Type.Number() },
      { additionalProperties: false, description: '(x − min) / (max − min); not clipped' },
    ),
    Type.Object(
      { method: Type.Literal('log1p'), scale: Type.Number({ exclusiveMinimum: 0, default: 1 }) },
      { additionalProperties: false, description: 'ln(1 + x) / scale; x must be greater than −1' },
    ),
  ],
  { description: 'How a number is scaled, computed in float64 and rounded to float32 once' },
)

export type NumericField = Static<typeof NumericField>
export const NumericField = Type.Object(
  {
    name: FieldName,
    side: Side,
    kind: Type.Literal('numeric'),
    scaling: Scaling,
    missing: missing(Type.Number()),
    ...several,
    log: LoggedAs,
  },
  { additionalProperties: false, description: 'A number' },
)

export type VectorField = Static<typeof VectorField>
export const VectorField = Type.Object(
  {
    name: FieldName,
    side: Side,
    kind: Type.Literal('vector'),
    length: Type.Integer({ minimum: 1, maximum: longestList, description: 'Its numbers' }),
    missing: Type.Union(
      [Type.Literal('error'), Type.Object({ default: Type.Array(Type.Number()) }, { additionalProperties: false })],
      { default: 'error', description: 'What an absent or null vector does: is refused, or counts as `default`' },
    ),
    log: LoggedAs,
  },
  { additionalProperties: false, description: 'A fixed number of numbers, such as an embedding; not scaled' },
)

export type SharedField = Static<typeof SharedField>
export const SharedField = Type.Object(
  {
    name: FieldName,
    side: Side,
    kind: Type.Literal('shared'),
    table: Type.String({ description: 'The field whose table it reads, with its values, hash or size' }),
    out_of_vocabulary: Type.Optional({
      ...policies,
      description: `${unknownValues}; default: as the field that owns the table`,
    }),
    missing: missing(Type.Union([Type.String(), Type.Integer()])),
    ...several,
    log: LoggedAs,
  },
  { additionalProperties: false, description: 'A value, or a list of values, of the same kind as another field' },
)

export type SparseField = VocabularyField | HashField | IntegerField

export type Field = Static<typeof Field>
export const Field = Type.Union([VocabularyField, HashField, IntegerField, NumericField, VectorField, SharedField], {
  description: 'One input field',
})

/** Whether a field's columns hold numbers, not ids. */
export function isDense({ kind }: Pick<Field, 'kind'>): boolean {
  return kind === 'numeric' || kind === 'vector'
}

export type Features = Static<typeof Features>
export const Features = Type.Array(Field, {
  minItems: 1,
  maxItems: 4096,
  description: 'Input fields, in order; names are unique',
})

/** The properties that say how a crossed field is computed. */
export const crossedParts = (buckets: { default?: number } = {}) => ({
  of: Type.Array(FieldName, {
    minItems: 2,
    maxItems: 8,
    uniqueItems: true,
    description: 'Sparse fields whose values are combined; one of them may be a list',
  }),
  buckets: Type.Integer({
    minimum: 1,
    maximum: 2 ** 31 - 1,
    description: 'Most ids: as many as there are combinations, where those are fewer',
    ...buckets,
  }),
  seed: Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1, default: 0, description: 'Seed of the hash' }),
})

export type CrossedField = Static<typeof CrossedField>
export const CrossedField = Type.Object(
  { name: FieldName, ...crossedParts() },
  {
    additionalProperties: false,
    description:
      'A field that no request gives: its id is the combination of the ids of other fields, each counted from 0. Where there are at most `buckets` combinations, each has an id: ((a · B) + b) · C + c, with B and C the numbers of ids; else it is MurmurHash3_x86_32 of the ids as little-endian int32, modulo `buckets`. Where one of the fields is a list, each of its values has such an id, one more, and 0 is that of padding',
  },
)

export type CrossedFields = Static<typeof CrossedFields>
export const CrossedFields = Type.Array(CrossedField, {
  minItems: 1,
  maxItems: 1024,
  description: 'Fields that are computed from `features`, in order; their columns follow those of all sparse fields',
})
