import Type, { type Static } from 'typebox'
import { TaskName } from './manifest.ts'

const strict = { additionalProperties: false } as const

const Bounds = Type.Object(
  {
    min: Type.Optional(Type.Number({ description: 'The metric must be at least this' })),
    max: Type.Optional(Type.Number({ description: 'The metric must be at most this' })),
  },
  { ...strict, minProperties: 1 },
)

export type Publish = Static<typeof Publish>
export const Publish = Type.Object(
  {
    metrics: Type.Optional(
      Type.Record(
        TaskName,
        Type.Object(
          {
            auc: Type.Optional(Bounds),
            logloss: Type.Optional(Bounds),
            normalised_entropy: Type.Optional(Bounds),
            calibration_ratio: Type.Optional(Bounds),
            ece: Type.Optional(Bounds),
          },
          { ...strict, minProperties: 1 },
        ),
        { description: 'Bounds of metrics, per task or derived task' },
      ),
    ),
    not_worse: Type.Optional(
      Type.Boolean({
        description:
          'The paired comparison must not find it worse than the version that --from continues or calibrate calibrates, else the highest on disk',
      }),
    ),
    beats: Type.Optional(
      Type.Literal('logistic', {
        description:
          'The normalised entropy of every labelled task must be below 1, and logistic regression on the same fields not surely better',
      }),
    ),
    int8: Type.Optional(Type.Boolean({ description: 'int8 must pass its check' })),
    bfloat16: Type.Optional(
      Type.Boolean({ description: 'bfloat16 must pass its check, on a machine that computes it' }),
    ),
  },
  { ...strict, minProperties: 1, description: 'What a version must fulfil to be written' },
)
