import Type, { type Static } from 'typebox'
import { count } from './comparison.ts'

/* The part of an evaluation that is about lists. */

const strict = { additionalProperties: false } as const

export type AttentionRow = Static<typeof AttentionRow>
export const AttentionRow = Type.Object(
  {
    row: Type.Integer({ description: 'Number of the golden row, from 1' }),
    target: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Null()]), {
      description: 'By field, what the items are compared with',
    }),
    items: Type.Array(
      Type.Object(
        {
          values: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()]), {
            description: 'By list, its value',
          }),
          weight: Type.Number({ description: 'Mean over heads, and over the layers that read the sequence' }),
          share: Type.Number({ description: 'Its size divided by those of all weights of the row' }),
        },
        strict,
      ),
      { description: 'Most weighted first' },
    ),
    more: count('Items that are left out'),
  },
  { ...strict, description: 'What attention looks at in one golden row' },
)

export type Attention = Static<typeof Attention>
export const Attention = Type.Object(
  { kind: Type.String({ description: '`din`, …' }), rows: Type.Array(AttentionRow) },
  { ...strict, description: 'What attention looks at in golden rows that have items' },
)

export type SequenceUse = Static<typeof SequenceUse>
export const SequenceUse = Type.Object(
  {
    name: Type.String({ description: 'Name of the sequence, or of a list that is in none' }),
    fields: Type.Array(Type.String(), { description: 'Its lists' }),
    max: Type.Integer({ description: 'Most values that the graph takes' }),
    lengths: Type.Object(
      {
        mean: Type.Number(),
        p10: Type.Integer({ description: 'A tenth of the lists is no longer' }),
        median: Type.Integer(),
        p90: Type.Integer(),
        most: Type.Integer(),
        empty: Type.Number({ description: 'Share of the rows without values' }),
        cut: Type.Number({ description: 'Share of the rows with more than `max` values' }),
      },
      { ...strict, description: 'Lengths of the lists in the judged rows' },
    ),
    attention: Type.Optional(Attention),
  },
  { ...strict, description: 'How long lists are, and what the network looks at in them' },
)
