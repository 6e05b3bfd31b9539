import Type, { type Static } from 'typebox'

/*
 * `config.json` of a `.keras` file, as Keras 2.15 and Keras 3 write it: the parts that are read. Everything left open here
 * differs between the two, or by class.
 */

const Options = Type.Record(Type.String(), Type.Unknown())

/** A serialised object: a model, a layer. */
export type KerasObject = Static<typeof KerasObject>
export const KerasObject = Type.Object({ class_name: Type.String({ minLength: 1 }), config: Options })

export type KerasLayer = Static<typeof KerasLayer>
export const KerasLayer = Type.Object({
  class_name: Type.String({ minLength: 1 }),
  config: Options,
  name: Type.Optional(Type.String()),
  inbound_nodes: Type.Optional(Type.Array(Type.Unknown(), { description: 'One entry per application of the layer' })),
})

/** `config` of a functional model; a sequential one has layers alone. */
export type KerasGraph = Static<typeof KerasGraph>
export const KerasGraph = Type.Object({
  name: Type.Optional(Type.String()),
  layers: Type.Array(KerasLayer, { minItems: 1, maxItems: 10_000 }),
  input_layers: Type.Optional(Type.Unknown()),
  output_layers: Type.Optional(Type.Unknown()),
})
