import Type, { type Static } from 'typebox'

const count = (description: string) => Type.Integer({ minimum: 0, description })

/** A feature table that rows were joined with. */
export type JoinedTable = Static<typeof JoinedTable>
export const JoinedTable = Type.Object(
  {
    name: Type.String(),
    version: Type.String(),
    rows: count('Rows of the version'),
    created_at: Type.String({ description: 'When it was imported' }),
    deltas: count('Deltas that were in effect'),
    key: Type.String({ description: 'The column of its keys' }),
    features: Type.Array(Type.String(), { description: 'Fields whose values it has' }),
    unknown: count('Rows that were read whose key it does not have'),
    without_key: count('Rows that were read without a key'),
  },
  { additionalProperties: false, description: 'A feature table from which rows had values' },
)
