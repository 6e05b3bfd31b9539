import Type, { type Static, type TSchema } from 'typebox'
import { Side } from './features.ts'

/*
 * The Open Inference Protocol, version 2, with its binary tensor extension. Everything around the tensors is checked
 * against these schemas; names, shapes, datatypes and values are checked by the reader of tensors, which knows the
 * model. As the protocol has it, keys and parameters that a server does not know are passed over, and null is as good
 * as absent.
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
  { description: 'Ids are integers or BOOL; numbers have any type. Integers beyond ±(2^53 − 1) are rejected' },
)

const Shape = Type.Array(Type.Integer({ minimum: 0 }), {
  maxItems: 32,
  description:
    'Encoded: [rows, …], as in the metadata. A feature: [rows] or [rows, 1]; [1] applies to all rows. A list or a vector: [rows, n]; [1, n] of a field of the context applies to all rows; of lists that are not equally long [values], beside `name.offsets` [rows + 1]',
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
      description:
        "An input of the model's graph, as listed in its metadata; or a feature, `id` or `bid`; or the offsets or weights of a list",
    }),
    shape: Shape,
    datatype: Type.String({ description: 'BOOL, INT8 … INT64, UINT8 … UINT64, FP32 or FP64; strings: BYTES' }),
    parameters: optional(Type.Object({ binary_data_size: optional(BinarySize) })),
    data: Type.Optional(Type.Unknown({ description: 'Values, row-major: one flat array, or an array of rows' })),
  },
  { description: 'A tensor of encoded ids or scaled numbers, fields in manifest order; or the values of one feature' },
)

export type InferRequestedOutput = Static<typeof InferRequestedOutput>
export const InferRequestedOutput = Type.Object({
  name: Type.String({ description: "An output listed in the model's metadata: a task, derived ones included" }),
  parameters: optional(
    Type.Object({
      binary_data: optional(
        Type.Boolean({ description: 'Return it as bytes after the JSON part; default: `binary_data_output`' }),
      ),
    }),
  ),
})

/** The body of an inference request, or its JSON part. */
export type InferRequest = Static<typeof InferRequest>
export const InferRequest = Type.Object(
  {
    id: optional(Type.String({ description: 'Echoed in the response' })),
    parameters: optional(
      Type.Object({
        timeout: optional(
          Type.Number({
            minimum: 0,
            maximum: 600_000_000,
            description: 'Deadline from arrival, µs; 0: none given',
          }),
        ),
        binary_data_output: optional(Type.Boolean({ description: 'Return outputs as bytes after the JSON part' })),
      }),
    ),
    inputs: Type.Array(InferInput, { minItems: 1 }),
    outputs: optional(Type.Array(InferRequestedOutput, { description: 'Default: all' })),
  },
  { description: 'Encoded tensors by the names of the graph’s inputs, or features by name' },
)

export type InferOutput = Static<typeof InferOutput>
export const InferOutput = Type.Object({
  name: Type.String({ description: 'A task; for a graph without a manifest, one of its outputs' }),
  shape: Type.Array(Type.Integer(), { description: '[rows, 1]; for a graph without a manifest, [rows, …]' }),
  datatype: Type.Literal('FP32'),
  parameters: Type.Optional(Type.Object({ binary_data_size: BinarySize })),
  data: Type.Optional(
    Type.Array(Type.Union([Type.Number(), Type.Null()]), {
      description: 'Row-major; probabilities, or any numbers for a graph without a manifest, null if not finite',
    }),
  ),
})

export type InferAnswer = Static<typeof InferAnswer>
export const InferAnswer = Type.Object({
  model_name: Type.String(),
  model_version: Type.String(),
  id: Type.Optional(Type.String({ description: "The request's id" })),
  outputs: Type.Array(InferOutput, { description: 'The calibrated probabilities of each requested task' }),
})

/** `GET /v2`. */
export type InferServer = Static<typeof InferServer>
export const InferServer = Type.Object({
  name: Type.String(),
  version: Type.String(),
  extensions: Type.Array(Type.String(), { description: 'Protocol extensions of this server' }),
})

export type InferLive = Static<typeof InferLive>
export const InferLive = Type.Object({ live: Type.Boolean() })

export type InferReady = Static<typeof InferReady>
export const InferReady = Type.Object({
  name: Type.Optional(Type.String({ description: 'The requested model' })),
  ready: Type.Boolean(),
  error: Type.Optional(Type.String({ description: 'Why the server is not ready' })),
})

export type InferTensor = Static<typeof InferTensor>
export const InferTensor = Type.Object({
  name: Type.String(),
  datatype: Type.String(),
  shape: Type.Array(Type.Integer(), { description: '−1 is the number of rows' }),
})

/** A feature that requests may send by its name. */
const Feature = Type.Object({
  name: Type.String(),
  datatype: Type.String({
    description:
      'BYTES for strings, INT64 for ids, FP64 for numbers, FP32 for vectors; other number types are accepted',
  }),
  shape: Type.Array(Type.Integer(), {
    description: '[rows], or [1] for all rows; of a list [rows, n], of a vector [rows, length]',
  }),
  side: Side,
  required: Type.Boolean({ description: 'The field has no default' }),
  offsets: Type.Optional(
    Type.String({
      description:
        'The tensor [rows + 1] of a list that says where the list of each row begins in its values, [values]',
    }),
  ),
  weights: Type.Optional(Type.String({ description: 'The tensor of a list that has the weights of its values' })),
})

/** `GET /v2/models/{model}`. */
export type InferModel = Static<typeof InferModel>
export const InferModel = Type.Object({
  name: Type.String(),
  versions: Type.Array(Type.String(), { description: 'Served versions' }),
  platform: Type.String({ description: 'The engine and the format of the saved graph' }),
  inputs: Type.Array(InferTensor),
  outputs: Type.Array(InferTensor, { description: 'One per task; for a graph without a manifest, its own outputs' }),
  parameters: Type.Optional(
    Type.Object({
      datatypes: Type.Record(Type.String(), Type.Array(InferDatatype), {
        description:
          'Per input all datatypes that requests may send it in. FP64 is rounded to float32, as JSON numbers are, and refused beyond its range',
      }),
      features: Type.Optional(
        Type.Array(Feature, {
          description:
            'Features that requests may send by name instead of `inputs`; absent for a graph without a manifest',
        }),
      ),
      keys: Type.Optional(
        Type.Array(
          Type.Object({
            name: Type.String(),
            datatype: Type.Literal('BYTES'),
            shape: Type.Array(Type.Integer()),
            side: Side,
            instead_of: Type.Array(Type.String()),
          }),
          { description: 'Keys that requests may send instead of features, which come from a table then' },
        ),
      ),
    }),
  ),
})

/** Every error below `/v1` and `/v2`. */
export type InferError = Static<typeof InferError>
export const InferError = Type.Object({ error: Type.String({ description: 'The problem, and where it is' }) })
