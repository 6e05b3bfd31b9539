import Type, { type Static } from 'typebox'
import { longestList } from './list-options.ts'

/* Histories that are made from the rows themselves. */

const column = (description: string) => Type.String({ minLength: 1, maxLength: 256, description })

export type History = Static<typeof History>
export const History = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 64,
      pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
      default: 'history',
      description: 'Name of the sequence; its lists are named after it and their fields: history_movie',
    }),
    of: Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
      minItems: 1,
      maxItems: 16,
      uniqueItems: true,
      description:
        'Fields whose values of earlier rows are the lists; of a list, all values of those rows, which are pooled',
    }),
    by: column('Column that names whose history it is, such as the user'),
    order: column('Column of numbers that grow with time: a row sees rows of an earlier time alone'),
    where: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description: 'An expression: rows where this is false or unknown are in no history',
      }),
    ),
    last: Type.Integer({ minimum: 1, maximum: longestList, description: 'Most rows of a history: the latest ones' }),
    max: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: longestList,
        description:
          'Most values of the history of a list: those of the latest rows; default: as many as `last` rows have at most',
      }),
    ),
  },
  {
    additionalProperties: false,
    description: 'A sequence of lists that are made from the rows: what the same user did in earlier rows',
  },
)

/** The name of the list of a field's earlier values. */
export const historyField = ({ name }: Pick<History, 'name'>, of: string): string => `${name}_${of}`
