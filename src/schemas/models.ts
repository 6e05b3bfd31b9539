import Type, { type Static } from 'typebox'
import { Side } from './features.ts'
import { Calibration, Provenance, TaskQuality } from './manifest.ts'

/*
 * GET /models and GET /models/{model}.
 */

export type VersionState = Static<typeof VersionState>
export const VersionState = Type.Union(
  [
    Type.Literal('loading', { description: 'being read, checked and warmed' }),
    Type.Literal('ready'),
    Type.Literal('draining', { description: 'replaced; answers what it has accepted' }),
    Type.Literal('failed', { description: 'see `error`' }),
  ],
  { description: 'State of a version' },
)

export type VersionStatus = Static<typeof VersionStatus>
export const VersionStatus = Type.Object({
  version: Type.String(),
  state: VersionState,
  engine: Type.Optional(Type.String({ description: 'What computes it, e.g. `onnx`, `tensorflow (wasm)`' })),
  precision: Type.Optional(Type.String({ examples: ['float32'] })),
  error: Type.Optional(Type.String({ description: 'Why it failed' })),
})

export type ModelStatus = Static<typeof ModelStatus>
export const ModelStatus = Type.Object({
  name: Type.String(),
  default: Type.Boolean({ description: 'Answers requests that name no model' }),
  unloaded: Type.Optional(Type.Boolean({ description: 'Taken out of service, until it is loaded on demand' })),
  labels: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'Version by label' })),
  versions: Type.Array(VersionStatus),
})

export type ModelList = Static<typeof ModelList>
export const ModelList = Type.Object({ models: Type.Array(ModelStatus) })

/** How int8 compares with float32 on held-out rows, measured where it is served. */
const Int8Check = Type.Object({
  passed: Type.Boolean(),
  rows: Type.Integer({ description: 'Rows compared' }),
  tasks: Type.Array(
    Type.Object({
      task: Type.String(),
      auc_loss: Type.Union([Type.Number(), Type.Null()], {
        description: 'AUC of float32 less that of int8; null without labels, or with too few to tell',
      }),
      mean_change: Type.Number({ description: "|mean prediction ÷ float32's − 1|" }),
      logit_p99: Type.Number({ description: '99th percentile of the difference of logits' }),
      logit_max: Type.Number({ description: 'The largest difference of logits' }),
    }),
  ),
  reasons: Type.Array(Type.String(), { description: 'What it fails on' }),
})

const TensorDescription = Type.Object({
  name: Type.String(),
  dtype: Type.String({ examples: ['int32', 'float32'] }),
  shape: Type.Array(Type.Integer(), { description: 'After the rows' }),
})

/** `GET /models/{model}`: the version that answers now, in full. */
export type ModelDetails = Static<typeof ModelDetails>
export const ModelDetails = Type.Intersect([
  ModelStatus,
  Type.Object({
    version: Type.Optional(Type.String({ description: 'The version described below' })),
    description: Type.Optional(Type.String()),
    architecture: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'Architecture and its options' }),
    ),
    fields: Type.Optional(
      Type.Array(
        Type.Object({
          name: Type.String(),
          side: Side,
          kind: Type.String({ examples: ['vocabulary', 'hash', 'integer', 'numeric'] }),
          required: Type.Boolean({ description: 'A request must give it' }),
          ids: Type.Optional(
            Type.Array(Type.Integer(), { description: 'Sparse fields: [first id, last id] in the shared id space' }),
          ),
        }),
      ),
    ),
    tasks: Type.Optional(
      Type.Array(
        Type.Object({
          name: Type.String(),
          description: Type.Optional(Type.String()),
          calibration: Type.Optional(Calibration),
          product: Type.Optional(Type.Array(Type.String(), { description: 'Derived tasks: what is multiplied' })),
          gate: Type.Optional(Type.Boolean({ description: 'Gate weights can be asked for' })),
        }),
      ),
    ),
    inputs: Type.Optional(
      Type.Array(TensorDescription, { description: 'Tensors that may be sent by name: [rows, …]' }),
    ),
    example: Type.Optional(
      Type.Object(
        { model: Type.String(), candidates: Type.Array(Type.Record(Type.String(), Type.Unknown())) },
        { description: 'A body for `POST /predict`, with a value for every field' },
      ),
    ),
    quality: Type.Optional(Type.Record(Type.String(), TaskQuality)),
    plan: Type.Optional(
      Type.Object({
        engine: Type.String(),
        graph: Type.String({ description: 'Format of the saved graph' }),
        workers: Type.Integer(),
        max_batch_rows: Type.Integer(),
        precision: Type.String({ description: 'What is computed in: `float32` or `int8`' }),
        compiled: Type.Boolean({ description: 'The graph was compiled; else it runs as it was saved' }),
        compile_seconds: Type.Number({ description: 'Time to compile it, or to take its plan from the cache, s' }),
        split_by_side: Type.Boolean({
          description: "The context's part of the first layer is computed once a request, known candidates' not at all",
        }),
        notes: Type.Array(Type.String(), {
          description: 'Why the graph runs as it was saved, or not in the precision asked for, or not by side',
        }),
        int8_check: Type.Optional(Int8Check),
      }),
    ),
    provenance: Type.Optional(Provenance),
  }),
])

export type Probe = Static<typeof Probe>
export const Probe = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('unavailable')]),
  reasons: Type.Optional(Type.Array(Type.String(), { description: 'Why not ready' })),
})
