import Type, { type Static } from 'typebox'
import { EntityDetails } from './entity-details.ts'
import { HashName, Scaling, Side } from './features.ts'
import { ListOptions } from './list-options.ts'
import { Calibration, TaskQuality } from './manifest.ts'
import { DeltaStatus } from './models-folder.ts'
import { Provenance } from './provenance.ts'
import { ServedPlan } from './served-plan.ts'

/*
 * GET /models, GET /models/{model} and GET /models/{model}/versions/{version}.
 */

export type VersionState = Static<typeof VersionState>
export const VersionState = Type.Union(
  [
    Type.Literal('loading', { description: 'being read, checked and warmed up' }),
    Type.Literal('ready'),
    Type.Literal('draining', { description: 'replaced; finishes its accepted requests' }),
    Type.Literal('failed', { description: 'see `error`' }),
  ],
  { description: 'State of a version' },
)

export type VersionStatus = Static<typeof VersionStatus>
export const VersionStatus = Type.Object({
  version: Type.String(),
  state: Type.Union(
    [
      ...VersionState.anyOf,
      Type.Literal('scheduled', { description: 'loaded; waits for `activate_at`' }),
      Type.Literal('not_loaded', { description: 'in the folder, but not loaded' }),
    ],
    { description: 'State of a version' },
  ),
  activate_at: Type.Optional(
    Type.String({ description: 'When it takes effect, or took effect', examples: ['2026-12-01T09:00:00.000Z'] }),
  ),
  engine: Type.Optional(Type.String({ description: 'The engine, such as `onnx` or `tensorflow (wasm)`' })),
  precision: Type.Optional(Type.String({ examples: ['float32'] })),
  tables: Type.Optional(Type.String({ description: 'Format of the rows of large tables, if not float32' })),
  deltas: Type.Optional(DeltaStatus),
  error: Type.Optional(Type.String({ description: 'Why it failed to load, or was refused' })),
  incompatible: Type.Optional(
    Type.Object(
      {
        with: Type.String({ description: 'The version that it replaced, or was to replace' }),
        problems: Type.Array(Type.String({ examples: ['the task cvr is no longer answered'] })),
        skipped: Type.Optional(
          Type.Array(Type.String(), {
            description: 'Versions between that are not compared: they could not be served',
          }),
        ),
      },
      {
        description:
          'What it no longer answers or accepts. A version of the state `failed`, or `ready` without being `default_version`, does not take over because of that',
      },
    ),
  ),
  drift: Type.Optional(
    Type.Object(
      {
        kind: Type.Union([Type.Literal('feature'), Type.Literal('length'), Type.Literal('task')], {
          description: '`length`: how many values a list has',
        }),
        name: Type.String(),
        psi: Type.Number({ description: 'Population stability index' }),
      },
      {
        description:
          'In the list: the field or task that has moved most in the process that responds; absent with too few values',
      },
    ),
  ),
  auc: Type.Optional(
    Type.Record(Type.String(), Type.Union([Type.Number(), Type.Null()]), {
      description: 'In the list: AUC by task, on the test rows',
    }),
  ),
})

export type ModelStatus = Static<typeof ModelStatus>
export const ModelStatus = Type.Object({
  name: Type.String(),
  default: Type.Boolean({ description: 'Answers requests that name no model' }),
  default_implied: Type.Optional(
    Type.Boolean({ description: 'It is the default model by its name, or as the only one: none is configured' }),
  ),
  unloaded: Type.Optional(Type.Boolean({ description: 'Out of service until it is loaded on demand' })),
  default_version: Type.Optional(Type.String({ description: 'Version that answers requests that name none' })),
  pin: Type.Optional(Type.String({ description: 'Pinned version: it answers even if a higher one exists' })),
  labels: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'Version by label' })),
  problem: Type.Optional(
    Type.String({
      description: 'A problem with the folder, the pin or the labels of the model, which may serve nevertheless',
    }),
  ),
  versions: Type.Array(VersionStatus),
})

export type ModelList = Static<typeof ModelList>
export const ModelList = Type.Object({
  models: Type.Array(ModelStatus),
  unreadable: Type.Optional(
    Type.String({ description: 'Why the models folder cannot be read now: loaded versions go on serving' }),
  ),
  feature_tables: Type.Optional(
    Type.Integer({ description: 'Number of feature tables that `GET /tables` lists; absent without any' }),
  ),
  administration: Type.Boolean({
    description: 'Whether this client may pin versions, and load and unload models, at this address',
  }),
})

const TensorDescription = Type.Object({
  name: Type.String(),
  dtype: Type.String({ examples: ['int32', 'float32'] }),
  shape: Type.Array(Type.Integer(), { description: 'Without the dimension of rows' }),
})

/** The values that a client may send for a field. */
export type FieldDetails = Static<typeof FieldDetails>
export const FieldDetails = Type.Object(
  {
    name: Type.String(),
    side: Side,
    kind: Type.String({ examples: ['vocabulary', 'hash', 'integer', 'numeric', 'vector'] }),
    type: Type.Union([Type.Literal('string'), Type.Literal('integer'), Type.Literal('number')], {
      description: 'JSON type of its values',
    }),
    list: Type.Optional(ListOptions),
    sequence: Type.Optional(Type.String({ description: 'Lists of the same sequence have equal lengths' })),
    table: Type.Optional(Type.String({ description: 'The field whose values and table it shares' })),
    length: Type.Optional(Type.Integer({ description: 'Vector fields: how many numbers' })),
    required: Type.Boolean({ description: 'A request must contain it' }),
    missing: Type.Union([Type.Literal('error'), Type.Literal('default')], {
      description: 'Whether an absent or null value is rejected (`error`) or counts as `default`',
    }),
    default: Type.Optional(
      Type.Union([Type.String(), Type.Number(), Type.Array(Type.Union([Type.String(), Type.Number()]))], {
        description: 'What an absent or null value counts as; an array for lists and vectors',
      }),
    ),
    out_of_vocabulary: Type.Optional(
      Type.Union([Type.Literal('bucket'), Type.Literal('error'), Type.Literal('drop')], {
        description:
          'Whether an unknown value shares one id with all others (`bucket`), is rejected (`error`), or is left out of its list (`drop`)',
      }),
    ),
    values: Type.Optional(
      Type.Object(
        {
          count: Type.Integer(),
          first: Type.Array(Type.String(), { description: 'The first ten' }),
          path: Type.String({ description: 'Path that lists all of them, in pages' }),
        },
        { description: 'Vocabulary fields: the known values' },
      ),
    ),
    minimum: Type.Optional(Type.Integer({ description: 'Integer fields: the smallest known value' })),
    maximum: Type.Optional(Type.Integer({ description: 'Integer fields: the largest known value' })),
    exclusive_minimum: Type.Optional(Type.Number({ description: 'Numeric fields: values must be greater' })),
    usual: Type.Optional(
      Type.Array(Type.Number(), {
        description: 'Numeric fields: the 10th and 90th percentile of the test rows, [low, high], before scaling',
      }),
    ),
    encoding: Type.Object(
      {
        ids: Type.Optional(
          Type.Array(Type.Integer(), { description: 'Sparse fields: [first id, last id] in the shared id space' }),
        ),
        padding: Type.Optional(
          Type.Integer({ description: 'Lists: the id of places without a value, in the shared id space' }),
        ),
        hash: Type.Optional(HashName),
        buckets: Type.Optional(Type.Integer({ description: 'Hash fields: number of ids' })),
        seed: Type.Optional(Type.Integer({ description: 'Hash fields: seed of the hash; absent where it has none' })),
        scaling: Type.Optional(Scaling),
      },
      { description: 'How values become the tensors of the graph' },
    ),
  },
  { description: 'A field and its accepted values' },
)

/** A field that is computed from others. */
export type CrossedDetails = Static<typeof CrossedDetails>
export const CrossedDetails = Type.Object(
  {
    name: Type.String(),
    side: Side,
    of: Type.Array(Type.String(), { description: 'The fields whose values are combined' }),
    ids: Type.Array(Type.Integer(), { description: '[first id, last id] in the shared id space' }),
    hashed: Type.Boolean({ description: 'Combinations share ids: there are more of them' }),
    max: Type.Optional(
      Type.Integer({
        description: 'Most values of its list, where one of the fields is a list; the first id is that of padding',
      }),
    ),
  },
  { description: 'A crossed field' },
)

/** `GET /models/{model}/fields/{field}/values`. */
export type FieldValues = Static<typeof FieldValues>
export const FieldValues = Type.Object({
  model: Type.String(),
  version: Type.String(),
  field: Type.String(),
  total: Type.Integer({ description: 'Values in all pages' }),
  offset: Type.Integer({ description: 'Position of the first value of this page' }),
  values: Type.Array(Type.String()),
})

/**
 * `GET /models/{model}`: the default version, in full; `GET /models/{model}/versions/{version}`: any that is loaded.
 */
export type ModelDetails = Static<typeof ModelDetails>
export const ModelDetails = Type.Intersect([
  ModelStatus,
  Type.Object({
    version: Type.Optional(Type.String({ description: 'The version described below' })),
    description: Type.Optional(Type.String()),
    architecture: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'Architecture and its options' }),
    ),
    fields: Type.Optional(Type.Array(FieldDetails)),
    crossed: Type.Optional(Type.Array(CrossedDetails, { description: 'Fields that no request gives' })),
    entities: Type.Optional(Type.Array(EntityDetails, { description: 'Features that come from tables, by a key' })),
    tasks: Type.Optional(
      Type.Array(
        Type.Object({
          name: Type.String(),
          description: Type.Optional(Type.String()),
          calibration: Type.Optional(Calibration),
          product: Type.Optional(Type.Array(Type.String(), { description: 'Derived tasks: the factors' })),
          gate: Type.Optional(Type.Boolean({ description: 'Gate weights are available' })),
        }),
      ),
    ),
    inputs: Type.Optional(
      Type.Array(TensorDescription, { description: 'Tensors that clients may send by name: [rows, …]' }),
    ),
    example: Type.Optional(
      Type.Object(
        {
          model: Type.String(),
          context: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
          candidates: Type.Array(Type.Record(Type.String(), Type.Unknown())),
        },
        { description: 'An example body for `POST /predict`, with a value for every field' },
      ),
    ),
    quality: Type.Optional(Type.Record(Type.String(), TaskQuality)),
    evaluated: Type.Optional(
      Type.Boolean({ description: '`/models/{model}/versions/{version}/evaluation` has the report of its evaluation' }),
    ),
    plan: Type.Optional(ServedPlan),
    memory: Type.Optional(
      Type.Object(
        {
          weights: Type.Integer({ description: 'The graph as saved, where it is open, in all workers' }),
          variants: Type.Integer({ description: 'The compiled graphs, in all workers' }),
          tables: Type.Integer({ description: 'Large tables, which are mapped files' }),
          cache: Type.Integer({ description: 'Cached candidates of all workers' }),
          catalogue: Type.Optional(
            Type.Integer({ description: 'The catalogue of candidates: mapped files, and the index in memory' }),
          ),
        },
        { description: 'Bytes that it keeps in this process, by the sizes of its files' },
      ),
    ),
    provenance: Type.Optional(Provenance),
  }),
])

export type Probe = Static<typeof Probe>
export const Probe = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('unavailable')]),
  reasons: Type.Optional(Type.Array(Type.String(), { description: 'Why not ready' })),
})
