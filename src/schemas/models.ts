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
  labels: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'Version by label' })),
  versions: Type.Array(VersionStatus),
})

export type ModelList = Static<typeof ModelList>
export const ModelList = Type.Object({ models: Type.Array(ModelStatus) })

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
