import type { Static, TSchema } from 'typebox'
import Type from 'typebox'

/*
 * Everything that clients of the Open Inference Protocol ask of a model beside its metadata, in Triton's words: the
 * extensions `model_configuration` and `statistics`. Keys that Triton has and that mean nothing here are left out.
 */

/** A tensor as a model's configuration says it: `dims` without the rows. */
const ConfigTensor = Type.Object({
  name: Type.String(),
  data_type: Type.String({ examples: ['TYPE_INT32', 'TYPE_FP32'] }),
  dims: Type.Array(Type.Integer(), { description: 'Without the dimension of rows' }),
  reshape: Type.Optional(
    Type.Object(
      { shape: Type.Array(Type.Integer()) },
      { description: 'For one number per row, which has no dimension' },
    ),
  ),
})

/** `GET /v2/models/{model}/config`. */
export type InferConfig = Static<typeof InferConfig>
export const InferConfig = Type.Object({
  name: Type.String(),
  platform: Type.String({ description: 'As in the metadata' }),
  backend: Type.String({ description: 'The engine' }),
  version_policy: Type.Union([
    Type.Object({ latest: Type.Object({ num_versions: Type.Literal(1) }) }),
    Type.Object({ all: Type.Object({}) }),
  ]),
  max_batch_size: Type.Integer({ description: 'Maximum rows per request' }),
  input: Type.Array(ConfigTensor),
  output: Type.Array(ConfigTensor),
  instance_group: Type.Array(
    Type.Object({
      name: Type.String(),
      kind: Type.Literal('KIND_CPU'),
      count: Type.Integer({ description: 'Worker threads per process' }),
    }),
  ),
  dynamic_batching: Type.Object({
    max_queue_delay_microseconds: Type.Integer({ description: 'How long an idle worker waits for more rows' }),
  }),
  default_model_filename: Type.String({ description: 'The saved graph' }),
})

export type InferDuration = Static<typeof InferDuration>
export const InferDuration = Type.Object({
  count: Type.Integer(),
  ns: Type.Integer({ description: 'Total, nanoseconds' }),
})

const durations = {
  compute_input: InferDuration,
  compute_infer: InferDuration,
  compute_output: InferDuration,
}

/** Statistics of a version since it was loaded, whatever protocol it was asked by. */
export type InferStatistics = Static<typeof InferStatistics>
export const InferStatistics = Type.Object({
  name: Type.String(),
  version: Type.String(),
  last_inference: Type.Integer({ description: 'Time of the last response, ms since 1970; 0: none yet' }),
  inference_count: Type.Integer({ description: 'Rows answered' }),
  execution_count: Type.Integer({ description: 'Engine calls' }),
  inference_stats: Type.Object({
    success: InferDuration,
    fail: InferDuration,
    queue: InferDuration,
    ...durations,
    cache_hit: InferDuration,
  }),
  batch_stats: Type.Array(Type.Object({ batch_size: Type.Integer(), ...durations }), {
    description: 'Engine calls by number of rows; above 256, by the next power of two',
  }),
})

/** `GET /v2/models/stats`, `/v2/models/{model}/stats`. */
export type InferStatisticsList = Static<typeof InferStatisticsList>
export const InferStatisticsList = Type.Object({ model_stats: Type.Array(InferStatistics) })

/*
 * The model repository extension of the Open Inference Protocol: the versions in the models folder, and which of them
 * are served. Bodies may be empty; null is as good as absent, and what is not known is passed over.
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
