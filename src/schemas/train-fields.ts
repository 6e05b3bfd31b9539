import Type, { type Static } from 'typebox'
import { crossedParts, FieldName, hashParts, LoggedAs, Padded, SharedField, Side, VectorField } from './features.ts'
import { ListOptions, several as served } from './list-options.ts'
import { column, expression, strict } from './rows-spec.ts'

/* The fields of a training specification: those of a manifest, without what follows from the rows. */

const fieldCommon = {
  name: FieldName,
  column: Type.Optional(column("Column that holds the values; default: the field's name")),
  expression: Type.Optional(expression('Computes the values from columns, instead of `column`')),
  side: Type.Union(Side.anyOf, { default: 'candidate', description: 'What the value depends on, see the manifest' }),
}
const policies = Type.Union([Type.Literal('bucket'), Type.Literal('error'), Type.Literal('drop')])
const outOfVocabulary = {
  ...policies,
  default: 'bucket',
  description: 'What an unknown value does when served; `drop` leaves it out of its list',
}
const missing = <T extends Type.TSchema>(value: T) =>
  Type.Union([Type.Literal('error'), Type.Object({ default: Type.Union([value, Type.Array(value)]) }, strict)], {
    default: 'error',
    description: 'What a missing value does, in training and when served; the default of a list is an array',
  })

/** How a cell of text holds several values. */
const separator = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 8,
    description:
      'What stands between the values of a cell of text, such as `|`; an empty cell is missing, unless `missing` of `data` is []; default: cells are JSON arrays',
  }),
)

export type Pooling = Static<typeof Pooling>
export const Pooling = Type.Union(
  [Type.Literal('mean'), Type.Literal('sum'), Type.Literal('sqrt_n'), Type.Literal('max')],
  {
    description:
      'How the embeddings of a list become one: `mean` (default), `sum`, `sqrt_n` (the sum divided by the root of the number of values), `max`; weights count in all of them',
  },
)

/** A field of several values. */
const several = {
  list: Type.Optional(
    Type.Object(
      { ...ListOptions.properties, separator },
      { ...strict, description: 'The field has any number of values, in an order' },
    ),
  ),
  weights: Type.Optional(column("Column of the weights of a weighted list's values, a list of the same form")),
  sequence: served.sequence,
  pooling: Type.Optional(Pooling),
}

/** Given for one field, they give each field a table of its own. */
const ownTable = {
  dim: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 65536, description: "Dimension of the field's embedding; default: dim_emb" }),
  ),
  l2: Type.Optional(
    Type.Number({ minimum: 0, description: "Penalty on the field's embedding table; default: embedding_l2" }),
  ),
}

export type TrainField = Static<typeof TrainField>
export const TrainField = Type.Union(
  [
    Type.Object(
      {
        ...fieldCommon,
        kind: Type.Literal('vocabulary'),
        min_count: Type.Integer({
          minimum: 1,
          default: 1,
          description: 'Values seen in fewer training rows count as unknown',
        }),
        out_of_vocabulary: outOfVocabulary,
        missing: missing(Type.String()),
        ...several,
        ...ownTable,
        log: LoggedAs,
      },
      { ...strict, description: 'A string looked up in the list of values of the training rows' },
    ),
    Type.Object(
      {
        ...fieldCommon,
        kind: Type.Literal('hash'),
        ...hashParts,
        padded: Padded,
        missing: missing(Type.String()),
        ...several,
        ...ownTable,
        log: LoggedAs,
      },
      { ...strict, description: 'A string hashed to an id' },
    ),
    Type.Object(
      {
        ...fieldCommon,
        kind: Type.Literal('integer'),
        size: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 2, description: 'Known ids are 0 … size − 1' }),
        out_of_vocabulary: outOfVocabulary,
        missing: missing(Type.Integer()),
        ...several,
        ...ownTable,
        log: LoggedAs,
      },
      { ...strict, description: 'An integer that is an id already' },
    ),
    Type.Object(
      {
        ...fieldCommon,
        kind: Type.Literal('numeric'),
        scaling: Type.Union(
          [Type.Literal('standard'), Type.Literal('min_max'), Type.Literal('log1p'), Type.Literal('none')],
          {
            default: 'standard',
            description: 'How a number is scaled, by statistics of the training rows',
          },
        ),
        clip: Type.Optional(
          Type.Boolean({
            description:
              'With `standard`: clip values to the range of the training rows, and count those beyond as unknown; default: true',
          }),
        ),
        bins: Type.Optional(
          Type.Integer({
            minimum: 2,
            maximum: 256,
            description:
              'The network also gets the number by this many bins, between quantiles of the training rows, with linear interpolation',
          }),
        ),
        missing: missing(Type.Number()),
        ...several,
        log: LoggedAs,
      },
      { ...strict, description: 'A number' },
    ),
    Type.Object(
      {
        ...fieldCommon,
        kind: Type.Literal('vector'),
        length: VectorField.properties.length,
        missing: VectorField.properties.missing,
        list: Type.Optional(
          Type.Object({ separator }, { ...strict, description: 'How a cell of text holds the numbers' }),
        ),
        dim: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 65536,
            description: 'Width of the projection that the network reads; default: dim_emb',
          }),
        ),
        log: LoggedAs,
      },
      { ...strict, description: 'A fixed number of numbers, such as an embedding; not scaled' },
    ),
    Type.Object(
      {
        ...fieldCommon,
        kind: Type.Literal('shared'),
        table: SharedField.properties.table,
        out_of_vocabulary: Type.Optional({
          ...policies,
          description: 'What an unknown value does when served; default: as the field that owns the table',
        }),
        missing: missing(Type.Union([Type.String(), Type.Integer()])),
        ...several,
        log: LoggedAs,
      },
      { ...strict, description: 'A value, or a list of values, of the same kind as another field' },
    ),
  ],
  { description: 'One input field' },
)

/** Most ids of a crossed field, where the spec gives no number. */
const defaultBuckets = 100_000

export const TrainCrossed = Type.Object(
  {
    name: FieldName,
    kind: Type.Literal('crossed'),
    ...crossedParts({ default: defaultBuckets }),
    pooling: Type.Optional(Pooling),
    ...ownTable,
  },
  { ...strict, description: 'A field that is computed from others, and has no column: see the manifest' },
)
