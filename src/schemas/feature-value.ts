import Type, { type Static } from 'typebox'

/* Values of fields as requests, golden rows and rows of files give them. */

const FeatureValues = Type.Array(Type.Union([Type.String(), Type.Number()]), {
  description: 'The values of a list, in order, or the numbers of a vector',
})

const Weights = Type.Array(Type.Number({ minimum: 0 }), { description: 'One for each value' })

/**
 * The value of one feature: a string (categorical), a number (integer ids and numbers), null for "missing", and for
 * fields of several values an array of these.
 */
export type FeatureValue = Static<typeof FeatureValue>
export const FeatureValue = Type.Union(
  [
    Type.String(),
    Type.Number(),
    Type.Null(),
    FeatureValues,
    Type.Object(
      { values: FeatureValues, weights: Weights },
      { additionalProperties: false, description: 'A weighted list' },
    ),
  ],
  {
    description:
      'A string for categorical fields, a number for integer ids and numeric fields, an array for lists and vectors, null if missing',
  },
)

/** A column of lists: that of row r is values[offsets[r]] to values[offsets[r + 1] − 1]. */
export type FeatureLists = Static<typeof FeatureLists>
export const FeatureLists = Type.Object(
  {
    values: Type.Array(Type.Union([Type.String(), Type.Number()]), { description: 'The values of all lists' }),
    offsets: Type.Array(Type.Integer({ minimum: 0 }), {
      minItems: 2,
      description: 'Where each list begins in `values`, and last where the last one ends',
    }),
    weights: Type.Optional(Weights),
  },
  { additionalProperties: false, description: 'A column of lists, or of vectors, in one array' },
)
