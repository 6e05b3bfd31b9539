import type { Static } from 'typebox'
import Type from 'typebox'
import { Features } from './features.ts'
import { DerivedTask, Task } from './manifest.ts'

/*
 * Everything that people give to `multigate import` beside the model: shapes of the files that its options name.
 */

/** `--features`, where it is more than a list of fields: a part of a manifest. */
export type ImportManifest = Static<typeof ImportManifest>
export const ImportManifest = Type.Object(
  {
    description: Type.Optional(Type.String()),
    features: Features,
    tasks: Type.Optional(Type.Array(Task, { minItems: 1, maxItems: 256 })),
    derived: Type.Array(DerivedTask, { default: [], maxItems: 256 }),
  },
  { additionalProperties: false, description: 'The parts of a manifest that a saved model does not hold' },
)

/** `--architecture`: a class's name, and what its weights alone do not tell. */
export type ImportArchitecture = Static<typeof ImportArchitecture>
export const ImportArchitecture = Type.Object(
  {
    name: Type.Optional(
      Type.String({ minLength: 1, description: 'The architecture, or the Python class; default: by the weights' }),
    ),
    sparse_fields: Type.Optional(Type.Integer({ minimum: 0, description: 'Number of sparse fields' })),
    num_tasks: Type.Optional(Type.Integer({ minimum: 1 })),
    num_emb: Type.Optional(Type.Integer({ minimum: 1, description: 'Rows of the embedding table' })),
  },
  { additionalProperties: true, description: "A class's arguments; omitted ones follow from the weights' shapes" },
)

/*
 * `config.json` of a `.keras` file, as Keras 2.15 and Keras 3 write it: the parts that are read. Everything left open
 * here differs between the two, or by class.
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
