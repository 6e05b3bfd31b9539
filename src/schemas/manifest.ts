import Type, { type Static } from 'typebox'
import { ArchitectureOptions } from './architecture.ts'
import { Entities } from './entities.ts'
import { FeatureValue } from './feature-value.ts'
import { CrossedFields, Features, FieldName } from './features.ts'
import { KeepPrecision, Precision, TableFormat } from './precision.ts'
import { Provenance } from './provenance.ts'

/** Names of models: a folder's name, a metric label, a part of a URL. */
export const ModelName = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$', description: "A model's name" })

/** Versions are numeric folders; the highest good one answers requests that name none. */
export const VersionName = Type.String({
  pattern: '^[1-9][0-9]{0,17}$',
  description: 'A version: a positive integer, as a string',
})

/** A task's name: a key of every prediction. */
export const TaskName = Type.String({
  pattern: '^(?!(?:id|bid|score|index|raw|gates|ecpm)$)[A-Za-z][A-Za-z0-9_]{0,63}$',
  description: "A task's name; `id`, `bid`, `score`, `index`, `raw`, `gates` and `ecpm` are reserved",
})

export type Calibration = Static<typeof Calibration>
export const Calibration = Type.Union(
  [
    Type.Object(
      { method: Type.Literal('platt'), a: Type.Number(), b: Type.Number() },
      { additionalProperties: false, description: 'σ(a · logit + b)' },
    ),
    Type.Object(
      {
        method: Type.Literal('isotonic'),
        x: Type.Array(Type.Number({ minimum: 0, maximum: 1 }), { minItems: 2 }),
        y: Type.Array(Type.Number({ minimum: 0, maximum: 1 }), { minItems: 2 }),
      },
      {
        additionalProperties: false,
        description: 'Linear interpolation between the points (x, y), both non-decreasing; constant outside',
      },
    ),
    Type.Object(
      { method: Type.Literal('negative_sampling'), kept: Type.Number({ exclusiveMinimum: 0, maximum: 1 }) },
      {
        additionalProperties: false,
        description: 'p / (p + (1 − p) / kept): undoes training on the share `kept` of the negatives',
      },
    ),
  ],
  { description: 'Maps a raw probability to a calibrated one' },
)

export type Task = Static<typeof Task>
export const Task = Type.Object(
  {
    name: TaskName,
    description: Type.Optional(Type.String()),
    calibration: Type.Optional(Calibration),
  },
  {
    additionalProperties: false,
    description: "One output of the network; tasks stand in the order of the graph's output columns",
  },
)

export type DerivedTask = Static<typeof DerivedTask>
export const DerivedTask = Type.Object(
  {
    name: TaskName,
    product: Type.Array(TaskName, { minItems: 1, description: 'Tasks whose calibrated probabilities are multiplied' }),
    calibration: Type.Optional({
      ...Calibration,
      description: 'Maps the product to a calibrated probability, which is never above a factor',
    }),
  },
  { additionalProperties: false, description: 'A probability composed of others, e.g. ctcvr = ctr · cvr' },
)

/** A path below the version's folder: relative, forward slashes, no `..`. */
const FilePath = Type.String({ pattern: '^(?!/)(?!.*(?:^|/)\\.\\.?(?:/|$))[^\\\\\\u0000]+$', maxLength: 512 })

/** One tensor of several columns, or several tensors whose columns follow each other. */
const Tensors = (description: string) =>
  Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1, maxItems: 4096, uniqueItems: true })], {
    description,
  })

/** The graph's input names for one field. */
export type FieldTensors = Static<typeof FieldTensors>
export const FieldTensors = Type.Object(
  {
    ids: Type.Optional(
      Type.String({ description: 'Integers [batch] or [batch, max]: ids, padding where a list ends' }),
    ),
    values: Type.Optional(Type.String({ description: 'float32 [batch], [batch, max] or [batch, length]' })),
    mask: Type.Optional(Type.String({ description: 'Booleans or numbers [batch, max]: 1 where a list has a value' })),
    lengths: Type.Optional(Type.String({ description: 'Numbers [batch] or [batch, 1]: how many values a list has' })),
    weights: Type.Optional(Type.String({ description: 'float32 [batch, max]: the weights of a list' })),
  },
  { additionalProperties: false, description: 'The inputs of the graph that are one field' },
)

export type GraphFormat = Static<typeof GraphFormat>
export const GraphFormat = Type.Union(
  [Type.Literal('layers'), Type.Literal('graph_model'), Type.Literal('saved_model'), Type.Literal('onnx')],
  {
    description:
      '`layers`: a TensorFlow.js layers model, `graph_model`: a TensorFlow.js graph model (each a model.json and weight shards); `saved_model`: a TensorFlow SavedModel (saved_model.pb and variables/); `onnx`: an ONNX file',
  },
)

export type Graph = Static<typeof Graph>
export const Graph = Type.Object(
  {
    format: GraphFormat,
    file: FilePath,
    signature: Type.Optional(
      Type.String({
        description: "A SavedModel's signature; default: `serving_default`, else `serve`, else the only one",
      }),
    ),
    inputs: Type.Object(
      {
        sparse: Type.Optional(
          Tensors('Of the sparse fields, in order, crossed ones last: integers [batch, fields], or one tensor a field'),
        ),
        ids: Type.Optional(
          Type.Union([Type.Literal('shared'), Type.Literal('per_field')], {
            description:
              '`shared`: all sparse fields are rows of one table, each takes the next ids (default where `sparse` is one tensor); `per_field`: each field has a table, and ids from 0 (always so where it has a tensor)',
          }),
        ),
        dense: Type.Optional(
          Tensors('Of the numeric fields, in order: float32 [batch, features], or one tensor a field'),
        ),
        fields: Type.Optional(
          Type.Record(FieldName, FieldTensors, {
            description: 'Fields that have tensors of their own; `sparse` and `dense` take the columns of all others',
          }),
        ),
      },
      { additionalProperties: false, description: "The graph's input names" },
    ),
    outputs: Type.Object(
      {
        probabilities: Tensors('float32 [batch, tasks], or one tensor per task'),
        activation: Type.Optional(
          Type.Union([Type.Literal('none'), Type.Literal('sigmoid')], {
            description:
              '`sigmoid`: what `probabilities` names are logits, of which multigate makes probabilities; default: `none`',
          }),
        ),
        logits: Type.Optional(Type.String({ description: 'float32 [batch, tasks]' })),
        gates: Type.Optional(
          Type.Record(TaskName, Type.String(), {
            description: "Per task the output of its gate's weights, float32 [batch, experts]",
          }),
        ),
      },
      { additionalProperties: false, description: 'Names of outputs: for a layers model, of layers' },
    ),
  },
  { additionalProperties: false, description: 'The saved graph, and what its inputs and outputs mean' },
)

export type Quantization = Static<typeof Quantization>
export const Quantization = Type.Object(
  {
    file: FilePath,
    rows: Type.Integer({
      minimum: 1,
      description: 'The first half of them (of an odd number, the larger one) sets the scales, the second half judges',
    }),
    labels: Type.Boolean({ description: 'The file has the labels too' }),
  },
  {
    additionalProperties: false,
    description:
      'Encoded rows that were not trained on. The file is little-endian: sparse ids int32 [rows, sparse fields], dense float32 [rows, numeric fields], scaled, and if `labels` float32 [rows, tasks]: 1, 0, or NaN outside the sample space; a block without columns is left out',
  },
)

export type TaskQuality = Static<typeof TaskQuality>
export const TaskQuality = Type.Object(
  {
    rows: Type.Integer({ minimum: 0, description: "Test rows in the task's sample space" }),
    positives: Type.Integer({ minimum: 0 }),
    auc: Type.Union([Type.Number(), Type.Null()], {
      description: 'Area under the ROC curve; null where one class is missing',
    }),
    logloss: Type.Union([Type.Number(), Type.Null()], { description: 'Mean binary cross-entropy, nats' }),
    normalised_entropy: Type.Union([Type.Number(), Type.Null()], { description: 'Logloss ÷ entropy of the base rate' }),
    calibration_ratio: Type.Union([Type.Number(), Type.Null()], { description: 'Mean prediction ÷ observed rate' }),
    oracle_auc: Type.Optional(Type.Number({ description: 'AUC of the true probability, where a generator knows it' })),
    oracle_logloss: Type.Optional(
      Type.Number({ description: 'Logloss of the true probability, where a generator knows it' }),
    ),
    weaknesses: Type.Optional(
      Type.Array(Type.String(), { description: 'What a simpler prediction does better on these rows, in sentences' }),
    ),
  },
  { additionalProperties: false },
)

export type GoldenRows = Static<typeof GoldenRows>
export const GoldenRows = Type.Object(
  {
    rows: Type.Array(Type.Record(Type.String(), FeatureValue), {
      minItems: 1,
      maxItems: 1000,
      description: 'Named features, as a request gives them',
    }),
    probabilities: Type.Array(Type.Array(Type.Number({ minimum: 0, maximum: 1 })), {
      description: 'Expected raw probabilities (before calibration), per row one per task',
    }),
    served: Type.Optional(
      Type.Array(Type.Array(Type.Number({ minimum: 0, maximum: 1 })), {
        description:
          'Expected answers (calibrated and composed), per row one per task, then one per derived task; the last derived tasks may lack theirs',
      }),
    ),
    tolerance: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      default: 1e-5,
      description: 'Largest absolute difference allowed of raw probabilities; a hundred times as much of served ones',
    }),
  },
  { additionalProperties: false, description: 'Rows with known answers, asked when the version is loaded' },
)

const shares = Type.Array(Type.Number({ minimum: 0, maximum: 1 }), { minItems: 2, maxItems: 65 })

export type Distribution = Static<typeof Distribution>
export const Distribution = Type.Union(
  [
    Type.Object(
      { edges: Type.Array(Type.Number(), { minItems: 1, maxItems: 64 }), shares },
      { additionalProperties: false, description: 'Of numbers: share i lies above edge i − 1 and not above edge i' },
    ),
    Type.Object(
      { ids: Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1, maxItems: 64 }), shares },
      { additionalProperties: false, description: 'Of ids: the share of each, and last that of all others' },
    ),
  ],
  { description: 'A distribution over bins; the shares add up to 1' },
)

export type DriftReference = Static<typeof DriftReference>
export const DriftReference = Type.Object(
  {
    features: Type.Record(Type.String(), Distribution, {
      description: 'Per field, of encoded values; of a list, of each of its values; none of a vector',
    }),
    lengths: Type.Optional(
      Type.Record(Type.String(), Distribution, { description: 'Per list, of how many values it has, at most `max`' }),
    ),
    tasks: Type.Record(TaskName, Distribution, { description: 'Per task, of calibrated probabilities' }),
  },
  {
    additionalProperties: false,
    description: 'What the model saw and answered when it was judged; live traffic is compared with it',
  },
)

/** `manifest.json` of a model version. */
export type Manifest = Static<typeof Manifest>
export const Manifest = Type.Object(
  {
    manifest: Type.Literal(1, { description: 'Version of this format' }),
    name: ModelName,
    version: VersionName,
    description: Type.Optional(Type.String()),
    architecture: Type.Optional(ArchitectureOptions),
    features: Features,
    crossed: Type.Optional(CrossedFields),
    entities: Type.Optional(Entities),
    tasks: Type.Array(Task, { minItems: 1, maxItems: 256 }),
    derived: Type.Array(DerivedTask, { default: [], maxItems: 256 }),
    graph: Graph,
    precision: Precision,
    keep_precision: Type.Optional(KeepPrecision),
    tables: Type.Optional(TableFormat),
    quantization: Type.Optional(Quantization),
    golden: Type.Optional(GoldenRows),
    quality: Type.Optional(Type.Record(TaskName, TaskQuality, { description: 'Metrics on the test rows, per task' })),
    drift: Type.Optional(DriftReference),
    provenance: Type.Optional(Provenance),
    files: Type.Record(FilePath, Type.String({ pattern: '^[0-9a-f]{64}$' }), {
      description: 'SHA-256 of every file of the version but this one',
    }),
  },
  { additionalProperties: false, description: 'manifest.json: what a model version is' },
)
