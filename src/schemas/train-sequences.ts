import Type, { type Static } from 'typebox'
import { ActivationName, widths } from './architecture.ts'
import { FieldName } from './features.ts'
import { strict } from './rows-spec.ts'

/* How a network reads the lists of a sequence: pooled, or by what the candidate has in common with each item. */

export type TrainSequence = Static<typeof TrainSequence>
export const TrainSequence = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 128, description: 'The `sequence` that fields name' }),
    attention: Type.Union(
      [
        Type.Literal('none'),
        Type.Literal('dot_product'),
        Type.Literal('multi_head'),
        Type.Literal('din'),
        Type.Literal('time_decay'),
      ],
      {
        description:
          '`none`: each list is pooled; `dot_product`: items count by the softmax of their product with the target; `multi_head`: the same in several projections; `din`: by a network of item and target, without a softmax (Zhou et al., KDD 2018); `time_decay`: by their likeness to the target and their age',
      },
    ),
    target: Type.Optional(
      Type.Array(FieldName, {
        minItems: 1,
        maxItems: 16,
        uniqueItems: true,
        description: 'Fields of one value that items are compared with, each of the table of a list of the sequence',
      }),
    ),
    heads: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 64,
        description: 'Projections of `multi_head` and `time_decay`; default: 2',
      }),
    ),
    ages: Type.Optional({
      ...FieldName,
      description: 'The list of numbers that says how long ago each item was, for `time_decay`; unscaled',
    }),
    half_lives: Type.Optional(
      Type.Array(Type.Number({ minimum: 1e-30, maximum: 1e30 }), {
        minItems: 1,
        maxItems: 16,
        uniqueItems: true,
        description: 'Of `time_decay`, in the unit of `ages`: an item of this age counts half',
      }),
    ),
    dim: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1024, description: 'Width of each head of `multi_head`; default: dim_emb' }),
    ),
    dims: Type.Optional(widths(1, "Widths of the hidden layers of `din`'s network; default: [64, 16]")),
    activation: Type.Optional(
      Type.Union(ActivationName.anyOf, { description: "Activation of `din`'s hidden layers; default: relu" }),
    ),
  },
  { ...strict, description: 'How the network reads the lists of a sequence' },
)
