import Type, { type Static } from 'typebox'

/** Most values of a list, and numbers of a vector. */
export const longestList = 4096

export type ListOptions = Static<typeof ListOptions>
export const ListOptions = Type.Object(
  {
    max: Type.Integer({
      minimum: 1,
      maximum: longestList,
      description: 'Most values that the graph takes; longer lists are cut',
    }),
    keep: Type.Optional(
      Type.Union([Type.Literal('first'), Type.Literal('last')], {
        default: 'first',
        description: 'Which values of a longer list are kept',
      }),
    ),
    weighted: Type.Optional(
      Type.Boolean({ default: false, description: 'Each value has a weight: a number of at least 0; 1 where none is' }),
    ),
    padding: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2 ** 31 - 2,
        description:
          "The id of places without a value, counted from the first id of the table; default: 0. Where a field of its own table doesn't give it, the table has one more row for it, the first",
      }),
    ),
  },
  { additionalProperties: false, description: 'The field has any number of values, in an order: an array' },
)

/** The properties of a field of several values. */
export const several = {
  list: Type.Optional(ListOptions),
  sequence: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 128,
      description:
        'Name of a sequence: its lists describe the same items, position by position, so they are equally long',
    }),
  ),
}
