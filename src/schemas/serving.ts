import Type, { type Static } from 'typebox'
import { FeatureLists } from './feature-value.ts'

/*
 * TensorFlow Serving's REST interface, which is KServe's protocol version 1 too. Everything around the values is
 * checked against these schemas; the values are checked by the encoder, which knows the model.
 */

const Base64 = Type.Object(
  { b64: Type.String({ contentEncoding: 'base64' }) },
  { additionalProperties: false, description: 'A string as base64 of its UTF-8 bytes' },
)

const WeightedList = Type.Object(
  { values: Type.Array(Type.Unknown()), weights: Type.Array(Type.Number({ minimum: 0 })) },
  { additionalProperties: false, description: 'A list of a named feature, with a weight for each value' },
)

const Value = Type.Union(
  [Type.String(), Type.Number(), Type.Null(), Base64, Type.Array(Type.Unknown()), WeightedList],
  {
    description:
      'The value of a named feature, of a list or a vector an array; or a tensor without its rows: a number, or nested arrays of them',
  },
)

const Column = Type.Union([Type.Array(Value), FeatureLists])

const envelope = {
  signature_name: Type.Optional(
    Type.Union([Type.String(), Type.Null()], {
      description: 'A signature listed in the metadata; default: the one with these input names',
      examples: ['serving_default', 'features'],
    }),
  ),
  parameters: Type.Optional(Type.Unknown({ description: 'Ignored: some clients always send it' })),
}

export const ServingContext = Type.Record(Type.String(), Value, {
  description: 'An extension of this server: named features shared by all rows',
})

/** One row by name. */
export const ServingInstance = Type.Record(Type.String(), Value, { description: 'By the names of features or tensors' })

/** Row form. */
export const ServingInstances = Type.Object(
  {
    ...envelope,
    instances: Type.Array(Type.Union([ServingInstance, Value]), {
      minItems: 1,
      description: 'One object per row, by the names of features or tensors; a bare value if there is one input',
    }),
    context: Type.Optional(ServingContext),
  },
  { additionalProperties: false, description: 'Row format; the response has `predictions`' },
)

/** Column form. */
export const ServingInputs = Type.Object(
  {
    ...envelope,
    inputs: Type.Union([Type.Record(Type.String(), Column), Type.Array(Value)], {
      description: 'One array per feature or tensor, all of the same length; a bare array if there is one input',
    }),
    context: Type.Optional(ServingContext),
  },
  { additionalProperties: false, description: 'Columnar format; the response has `outputs`' },
)

/** `POST /v1/models/{model}:predict`. */
export type ServingRequest = Static<typeof ServingRequest>
export const ServingRequest = Type.Union([ServingInstances, ServingInputs], {
  description: 'Named features or tensors, as rows or columns',
})

/** The body, its values unchecked: this much is validated before a model is chosen. */
export type ServingEnvelope = Static<typeof ServingEnvelope>
export const ServingEnvelope = Type.Object(
  {
    ...envelope,
    instances: Type.Optional(Type.Unknown()),
    inputs: Type.Optional(Type.Unknown()),
    context: Type.Optional(Type.Unknown()),
  },
  { additionalProperties: false },
)

const Output = Type.Union([Type.Number(), Type.Array(Type.Unknown())])

/** One row's outputs, and its `id` where the request has one. */
export const ServingPrediction = Type.Record(Type.String(), Type.Union([Output, Type.String()]), {
  description: 'By output: one probability per task',
})

/** The same as columns. */
export const ServingColumns = Type.Record(Type.String(), Type.Array(Type.Unknown()), {
  description: 'One array of all rows per output',
})

export const ServingPredictions = Type.Object(
  {
    predictions: Type.Array(Type.Union([Output, ServingPrediction]), {
      description: 'One per row: an object by output, or its bare value if there is one output',
    }),
  },
  { description: 'Row format' },
)

export const ServingOutputs = Type.Object(
  {
    outputs: Type.Union([Type.Array(Output), ServingColumns], {
      description: 'One array per output, or a bare array if there is one output',
    }),
  },
  { description: 'Columnar format' },
)

/** The answer: `predictions` for `instances`, `outputs` for `inputs`. */
export type ServingAnswer = Static<typeof ServingAnswer>
export const ServingAnswer = Type.Union([ServingPredictions, ServingOutputs], {
  description: 'For a model with a manifest, the calibrated probability of each task',
})

/** `GET /v1/models`. */
export type ServingModels = Static<typeof ServingModels>
export const ServingModels = Type.Object({ models: Type.Array(Type.String(), { description: 'Names' }) })

export type ServingState = Static<typeof ServingState>
export const ServingState = Type.Union([
  Type.Literal('LOADING'),
  Type.Literal('AVAILABLE'),
  Type.Literal('UNLOADING'),
  Type.Literal('END'),
])

export type ServingVersionStatus = Static<typeof ServingVersionStatus>
export const ServingVersionStatus = Type.Object({
  version: Type.String(),
  state: ServingState,
  status: Type.Object({
    error_code: Type.Union([Type.Literal('OK'), Type.Literal('UNKNOWN')], {
      description: 'UNKNOWN: it failed to load',
    }),
    error_message: Type.String({ description: 'Why it failed' }),
  }),
})

/** `GET /v1/models/{model}`. */
export type ServingStatus = Static<typeof ServingStatus>
export const ServingStatus = Type.Object({
  name: Type.String({ description: "For clients of KServe's protocol" }),
  ready: Type.Boolean({ description: 'At least one of these versions is served' }),
  model_version_status: Type.Array(ServingVersionStatus),
})

const TensorInfo = Type.Object({
  dtype: Type.Union([
    Type.Literal('DT_INT32'),
    Type.Literal('DT_INT64'),
    Type.Literal('DT_FLOAT'),
    Type.Literal('DT_STRING'),
    Type.Literal('DT_BOOL'),
  ]),
  tensor_shape: Type.Object({
    dim: Type.Array(Type.Object({ size: Type.String(), name: Type.String() }), {
      description: '"-1" is the number of rows',
    }),
    unknown_rank: Type.Boolean(),
  }),
  name: Type.String(),
})

export type ServingSignatureDef = Static<typeof ServingSignatureDef>
export const ServingSignatureDef = Type.Object({
  inputs: Type.Record(Type.String(), TensorInfo),
  outputs: Type.Record(Type.String(), TensorInfo),
  method_name: Type.Literal('tensorflow/serving/predict'),
})

/** `GET /v1/models/{model}/metadata`. */
export type ServingMetadata = Static<typeof ServingMetadata>
export const ServingMetadata = Type.Object({
  model_spec: Type.Object({ name: Type.String(), signature_name: Type.String(), version: Type.String() }),
  metadata: Type.Object({
    signature_def: Type.Object({
      signature_def: Type.Record(Type.String(), ServingSignatureDef, {
        description:
          '`serving_default`: the tensors of the graph; `features`: its named features, if it has a manifest',
      }),
    }),
  }),
})
