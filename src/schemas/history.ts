import Type, { type Static } from 'typebox'
import { FieldName } from './features.ts'
import { longestList } from './list-options.ts'

/* Histories that are made from the rows themselves. */

const column = (description: string) => Type.String({ minLength: 1, maxLength: 256, description })

export type HistoryOutcome = Static<typeof HistoryOutcome>
const HistoryOutcome = Type.Object(
  {
    name: { ...FieldName, description: 'Its list is named after the history and it: history_rating' },
    column: Type.Optional(column('Column of numbers; default: the name')),
    expression: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description: 'Computes the number from columns, instead of `column`; true is 1',
      }),
    ),
  },
  {
    additionalProperties: false,
    description: 'A number that is known of earlier rows alone, such as a rating; scaled as `standard`',
  },
)

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
    outcomes: Type.Optional(
      Type.Array(HistoryOutcome, {
        minItems: 1,
        maxItems: 16,
        description:
          'Numbers that only the earlier rows have, such as a rating or whether a click was a sale: a list each, and no input of the row itself',
      }),
    ),
    ages: Type.Optional({
      ...FieldName,
      description:
        'A list more, named after the history and this: how long before the row each earlier row was, in the unit of `order`, as `time_decay` reads it',
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
