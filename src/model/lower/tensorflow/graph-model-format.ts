import Type, { type Static } from 'typebox'

/*
 * The parts of a TensorFlow.js graph model's model.json that are read, as tensorflowjs_converter writes them. Other parts are
 * ignored. The graph itself is a GraphDef in protobuf's JSON form.
 */

const Argument = Type.Object({
  name: Type.String({ minLength: 1, description: 'Tensor of the graph, `node:output`' }),
  dtype: Type.Optional(Type.String({ description: '`DT_FLOAT`, `DT_INT32`, …' })),
  tensorShape: Type.Optional(
    Type.Object({
      dim: Type.Optional(Type.Array(Type.Object({ size: Type.Optional(Type.Union([Type.String(), Type.Integer()])) }))),
      unknownRank: Type.Optional(Type.Boolean()),
    }),
  ),
})

export type GraphModelSignature = Static<typeof GraphModelSignature>
export const GraphModelSignature = Type.Object({
  inputs: Type.Optional(Type.Record(Type.String(), Argument)),
  outputs: Type.Record(Type.String(), Argument),
})

export type WeightSpec = Static<typeof WeightSpec>
export const WeightSpec = Type.Object({
  name: Type.String({ minLength: 1 }),
  shape: Type.Array(Type.Integer({ minimum: 0 })),
  dtype: Type.String(),
  quantization: Type.Optional(
    Type.Object(
      {
        dtype: Type.String({ description: '`uint8` and `uint16`: value = stored · scale + min; `float16`' }),
        scale: Type.Optional(Type.Number()),
        min: Type.Optional(Type.Number()),
      },
      { description: 'How its values are stored' },
    ),
  ),
})

export type GraphModelFile = Static<typeof GraphModelFile>
export const GraphModelFile = Type.Object({
  format: Type.Literal('graph-model'),
  modelTopology: Type.Object({
    node: Type.Array(Type.Unknown()),
    library: Type.Optional(Type.Unknown()),
  }),
  signature: Type.Optional(GraphModelSignature),
  userDefinedMetadata: Type.Optional(Type.Object({ signature: Type.Optional(GraphModelSignature) })),
  modelInitializer: Type.Optional(Type.Unknown()),
  weightsManifest: Type.Array(
    Type.Object({
      paths: Type.Array(Type.String({ minLength: 1 }), { description: "Shards, relative to model.json's folder" }),
      weights: Type.Array(WeightSpec, { description: 'Tensors, in order, over the concatenated shards' }),
    }),
  ),
})
