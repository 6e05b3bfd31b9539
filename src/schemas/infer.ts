import Type, { type Static, type TSchema } from 'typebox'
import { Side } from './features.ts'

/*
 * The Open Inference Protocol, version 2, with its binary tensor extension. What stands around the tensors is checked
 * against these schemas; names, shapes, datatypes and values by the reader of tensors, which knows the model. As the
 * protocol has it, keys and parameters that a server does not know are passed over, and null is as good as absent.
 */

const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

/** Every datatype that a number of a tensor can have; strings are BYTES. */
export type InferDatatype = Static<typeof InferDatatype>
export const InferDatatype = Type.Union(
  [
    Type.Literal('BOOL'),
    Type.Literal('INT8'),
    Type.Literal('INT16'),
    Type.Literal('INT32'),
    Type.Literal('INT64'),
    Type.Literal('UINT8'),
    Type.Literal('UINT16'),
    Type.Literal('UINT32'),
    Type.Literal('UINT64'),
    Type.Literal('FP32'),
    Type.Literal('FP64'),
  ],
  { description: 'Ids are integers or BOOL; numbers may be any. An integer beyond ±(2^53 − 1) is refused' },
)

const Shape = Type.Array(Type.Integer({ minimum: 0 }), {
  maxItems: 32,
  description: 'Encoded: [rows, …], as the metadata says. A feature: [rows] or [rows, 1]; [1] holds for all rows',
  examples: [[2, 3]],
})
const BinarySize = Type.Integer({
  minimum: 0,
  description: 'Bytes of the tensor after the JSON part, little-endian, row-major, in place of `data`',
})

export type InferInput = Static<typeof InferInput>
export const InferInput = Type.Object(
  {
    name: Type.String({
      description: "An input of the model's graph, as its metadata says; or a feature, `id` or `bid`",
    }),
    shape: Shape,
    datatype: Type.String({ description: 'BOOL, INT8 … INT64, UINT8 … UINT64, FP32 or FP64; strings: BYTES' }),
    parameters: optional(Type.Object({ binary_data_size: optional(BinarySize) })),
    data: Type.Optional(Type.Unknown({ description: 'Values, row-major: one flat array, or an array of rows' })),
  },
  { description: 'A tensor: encoded ids or scaled numbers, fields in manifest order; or the values of one feature' },
)

export type InferRequestedOutput = Static<typeof InferRequestedOutput>
export const InferRequestedOutput = Type.Object({
  name: Type.String({ description: "An output, as the model's metadata says: a task, derived ones too" }),
  parameters: optional(
    Type.Object({
      binary_data: optional(
        Type.Boolean({ description: 'Answer it as bytes after the JSON part; default: `binary_data_output`' }),
      ),
    }),
  ),
})

/** The body of an inference request, or its JSON part. */
export type InferRequest = Static<typeof InferRequest>
export const InferRequest = Type.Object(
  {
    id: optional(Type.String({ description: 'Echoed in the answer' })),
    parameters: optional(
      Type.Object({
        timeout: optional(
          Type.Number({
            minimum: 0,
            maximum: 600_000_000,
            description: 'Time for the answer from arrival, µs; 0: as if it were not given',
          }),
        ),
        binary_data_output: optional(Type.Boolean({ description: 'Answer outputs as bytes after the JSON part' })),
      }),
    ),
    inputs: Type.Array(InferInput, { minItems: 1 }),
    outputs: optional(Type.Array(InferRequestedOutput, { description: 'Default: all' })),
  },
  { description: 'Tensors, already encoded, under the names of the graph’s inputs; or features by name' },
)

export type InferOutput = Static<typeof InferOutput>
export const InferOutput = Type.Object({
  name: Type.String({ description: 'A task; of a graph without a manifest one of its own outputs' }),
  shape: Type.Array(Type.Integer(), { description: '[rows, 1]; of a graph without a manifest [rows, …]' }),
  datatype: Type.Literal('FP32'),
  parameters: Type.Optional(Type.Object({ binary_data_size: BinarySize })),
  data: Type.Optional(
    Type.Array(Type.Union([Type.Number(), Type.Null()]), {
      description: 'Row-major; probabilities, but of a graph without a manifest any numbers: null where not finite',
    }),
  ),
})

export type InferAnswer = Static<typeof InferAnswer>
export const InferAnswer = Type.Object({
  model_name: Type.String(),
  model_version: Type.String(),
  id: Type.Optional(Type.String({ description: "The request's" })),
  outputs: Type.Array(InferOutput, { description: 'The calibrated probabilities of each task that was asked for' }),
})

/** `GET /v2`. */
export type InferServer = Static<typeof InferServer>
export const InferServer = Type.Object({
  name: Type.String(),
  version: Type.String(),
  extensions: Type.Array(Type.String(), { description: 'Of the protocol, that this server has' }),
})

export type InferLive = Static<typeof InferLive>
export const InferLive = Type.Object({ live: Type.Boolean() })

export type InferReady = Static<typeof InferReady>
export const InferReady = Type.Object({
  name: Type.Optional(Type.String({ description: 'The model asked for' })),
  ready: Type.Boolean(),
  error: Type.Optional(Type.String({ description: 'Why the server is not ready' })),
})

export type InferTensor = Static<typeof InferTensor>
export const InferTensor = Type.Object({
  name: Type.String(),
  datatype: Type.String(),
  shape: Type.Array(Type.Integer(), { description: '−1 stands for the rows' }),
})

/** A feature that requests may send by its name. */
const Feature = Type.Object({
  name: Type.String(),
  datatype: Type.String({
    description: 'BYTES for strings, INT64 for ids, FP64 for numbers; other numbers do as well',
  }),
  shape: Type.Array(Type.Integer(), { description: '[rows], or [1] for all rows' }),
  side: Side,
  required: Type.Boolean({ description: 'It has no default' }),
})

/** `GET /v2/models/{model}`. */
export type InferModel = Static<typeof InferModel>
export const InferModel = Type.Object({
  name: Type.String(),
  versions: Type.Array(Type.String(), { description: 'Versions that answer now' }),
  platform: Type.String({ description: 'The engine that computes, and the format of the saved graph' }),
  inputs: Type.Array(InferTensor),
  outputs: Type.Array(InferTensor, { description: 'One a task; of a graph without a manifest its own' }),
  parameters: Type.Optional(
    Type.Object({
      datatypes: Type.Record(Type.String(), Type.Array(InferDatatype), {
        description:
          'Per input all datatypes that requests may send it in. FP64 is rounded to float32, as JSON numbers are, and refused beyond its range',
      }),
      features: Type.Optional(
        Type.Array(Feature, {
          description: 'What requests may send by name in place of `inputs`; left out for a graph without a manifest',
        }),
      ),
    }),
  ),
})

/** Every error below `/v1` and `/v2`. */
export type InferError = Static<typeof InferError>
export const InferError = Type.Object({ error: Type.String({ description: 'What went wrong, and where' }) })
