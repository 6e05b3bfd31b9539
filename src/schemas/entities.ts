import Type, { type Static } from 'typebox'

export type Entity = Static<typeof Entity>
export const Entity = Type.Object(
  {
    key: Type.String({
      minLength: 1,
      maxLength: 128,
      description: 'The property of requests that holds the key; it may be a feature, too',
    }),
    side: Type.Union([Type.Literal('context'), Type.Literal('candidate')]),
    table: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$', description: 'A feature table' }),
    features: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      uniqueItems: true,
      description: 'Fields of this side whose values the table has, in columns of the same names',
    }),
    unknown: Type.Union([Type.Literal('defaults'), Type.Literal('refuse'), Type.Literal('leave_out')], {
      default: 'defaults',
      description:
        'Where a key is not in the table, the defaults of its features stand in, the request is refused, or the candidate is left out',
    }),
    log: Type.Optional(
      Type.Union([Type.Literal('hash'), Type.Literal('drop')], {
        description: 'Where requests are recorded: the key as a hash, or not at all; default: unchanged',
      }),
    ),
    max_age_seconds: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: 'An older table, with its last delta, is reported as stale; it is served all the same',
      }),
    ),
  },
  { additionalProperties: false, description: 'A thing whose features are in a table, such as an ad' },
)

export type Entities = Static<typeof Entities>
export const Entities = Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' }), Entity, {
  description: 'Features that requests need not send: they come from a table, by a key',
})
