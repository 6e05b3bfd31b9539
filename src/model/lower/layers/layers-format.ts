import Type, { type Static } from 'typebox'

/*
 * The parts of a TensorFlow.js layers model's model.json that are read, as tfjs-layers 4 and Keras' converter write them. Other
 * parts are ignored.
 */

/** Output `tensor` of the `node`-th application of a layer. */
const Reference = Type.Union([
  Type.Tuple([Type.String(), Type.Integer({ minimum: 0 }), Type.Integer({ minimum: 0 })]),
  Type.Tuple([
    Type.String(),
    Type.Integer({ minimum: 0 }),
    Type.Integer({ minimum: 0 }),
    Type.Record(Type.String(), Type.Unknown()),
  ]),
])

const Layer = Type.Object({
  name: Type.String({ minLength: 1 }),
  class_name: Type.String(),
  config: Type.Record(Type.String(), Type.Unknown()),
  inbound_nodes: Type.Array(Type.Array(Reference), { description: 'One entry per application: its inputs' }),
})

export type ModelConfig = Static<typeof ModelConfig>
export const ModelConfig = Type.Object({
  class_name: Type.String(),
  config: Type.Object({
    layers: Type.Array(Layer, { minItems: 1 }),
    input_layers: Type.Array(Reference),
    output_layers: Type.Array(Reference, { minItems: 1 }),
  }),
})

const WeightSpec = Type.Object({
  name: Type.String({ minLength: 1 }),
  shape: Type.Array(Type.Integer({ minimum: 0 })),
  dtype: Type.String(),
  quantization: Type.Optional(Type.Unknown()),
})

export type LayersFile = Static<typeof LayersFile>
export const LayersFile = Type.Object({
  format: Type.Optional(Type.String()),
  modelTopology: Type.Record(Type.String(), Type.Unknown()),
  weightsManifest: Type.Array(
    Type.Object({
      paths: Type.Array(Type.String({ minLength: 1 }), { description: "Shards, relative to model.json's folder" }),
      weights: Type.Array(WeightSpec, { description: 'Tensors, in order, over the concatenated shards' }),
    }),
  ),
})
