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
    refused_delta: Type.Optional(
      Type.Object(
        { file: Type.String(), reason: Type.String() },
        {
          additionalProperties: false,
          description: 'The first delta that was not in effect, and why; later ones were not either',
        },
      ),
    ),
    key: Type.String({ description: 'The column of its keys' }),
    features: Type.Array(Type.String(), { description: 'Fields whose values it has' }),
    service: Type.Optional(Type.Literal(true, { description: 'A service read it, and rows were sent by their keys' })),
    unknown: Type.Optional(
      count('Rows that were read whose key it does not have; not known where a service stands in with defaults'),
    ),
    left_out: Type.Optional(count('Rows among these that are left out, as a server does not answer them')),
    without_key: count('Rows that were read without a key'),
  },
  { additionalProperties: false, description: 'A feature table from which rows had values' },
)
