import Type, { type Static, type TSchema } from 'typebox'

/*
 * The model repository extension of the Open Inference Protocol: the versions in the models folder, and which of them are served.
 * Bodies may be empty; null is as good as absent, and what is not known is passed over.
 */

const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

/** `POST /v2/repository/index`. */
export type InferIndexRequest = Static<typeof InferIndexRequest>
export const InferIndexRequest = Type.Object({
  ready: optional(Type.Boolean({ description: 'Only versions that are served' })),
})

export type InferIndex = Static<typeof InferIndex>
export const InferIndex = Type.Array(
  Type.Object({
    name: Type.String(),
    version: Type.Optional(Type.String({ description: 'Absent if the model has no version' })),
    state: Type.Union(
      [Type.Literal('READY'), Type.Literal('LOADING'), Type.Literal('UNLOADING'), Type.Literal('UNAVAILABLE')],
      { description: 'UNLOADING: it finishes its accepted requests' },
    ),
    reason: Type.String({ description: 'Why it is not served; empty if it is' }),
  }),
  { description: 'Every version in the folder, by model, highest first' },
)

/** `POST /v2/repository/models/{model}/load` and `/unload`. */
export type InferRepositoryRequest = Static<typeof InferRepositoryRequest>
export const InferRepositoryRequest = Type.Object({
  parameters: optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: '`config` and files are rejected: the folder defines the model. Other parameters are ignored',
    }),
  ),
})

export type InferRepositoryAnswer = Static<typeof InferRepositoryAnswer>
export const InferRepositoryAnswer = Type.Object({
  name: Type.String(),
  load: Type.Optional(Type.Literal(true)),
  unload: Type.Optional(Type.Literal(true)),
})
