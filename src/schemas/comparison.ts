import Type, { type Static, type TSchema } from 'typebox'
import { TaskName } from './manifest.ts'

/* Metrics with intervals, and the paired comparison of two versions: parts of an evaluation's report. */

const strict = { additionalProperties: false } as const
export const count = (description: string) => Type.Integer({ minimum: 0, description })
export const orNull = <T extends TSchema>(value: T) => Type.Union([value, Type.Null()])

export type Estimate = Static<typeof Estimate>
export const Estimate = Type.Object(
  {
    value: orNull(Type.Number()),
    low: orNull(Type.Number()),
    high: orNull(Type.Number()),
  },
  {
    ...strict,
    description: 'A metric with its 95 % interval; null where it is undefined, such as the AUC of one class',
  },
)

/** Metrics of predictions of one task on one set of rows. */
export const metricNames = ['auc', 'logloss', 'normalised_entropy', 'calibration_ratio', 'ece'] as const
export type MetricName = (typeof metricNames)[number]

export type Metrics = Static<typeof Metrics>
export const Metrics = Type.Object(
  {
    auc: Estimate,
    logloss: Estimate,
    normalised_entropy: Estimate,
    calibration_ratio: Estimate,
    ece: Estimate,
  },
  {
    ...strict,
    description:
      'AUC: area under the ROC curve. logloss: mean binary cross-entropy, nats. normalised_entropy: logloss ÷ entropy of the base rate. calibration_ratio: mean prediction ÷ observed rate. ece: expected calibration error over ten bins of equal weight, debiased',
  },
)

export type Verdict = Static<typeof Verdict>
export const Verdict = Type.Union(
  [Type.Literal('better'), Type.Literal('worse'), Type.Literal('no difference shown')],
  { description: 'What the interval of a difference shows' },
)

export type Difference = Static<typeof Difference>
export const Difference = Type.Object(
  {
    a: orNull(Type.Number({ description: 'Metric of the first version' })),
    b: orNull(Type.Number({ description: 'Metric of the second version' })),
    difference: {
      ...Estimate,
      description: 'b − a with its paired 95 % interval; of calibration_ratio, of its distance from 1',
    },
    verdict: Type.Optional(Verdict),
  },
  strict,
)

export type Comparison = Static<typeof Comparison>
export const Comparison = Type.Object(
  {
    a: Type.String({ description: 'The version compared with, `<model>/<version>`' }),
    b: Type.String({ description: 'The judged version' }),
    verdict: Verdict,
    reasons: Type.Array(Type.String(), { description: 'What the verdict follows from' }),
    incompatible: Type.Optional(
      Type.Array(Type.String(), {
        description: 'What the second version no longer answers or accepts of the first; of versions on disk alone',
      }),
    ),
    tasks: Type.Array(
      Type.Object(
        {
          name: TaskName,
          verdict: Verdict,
          metrics: Type.Object(
            {
              auc: Difference,
              logloss: Difference,
              normalised_entropy: Difference,
              calibration_ratio: Difference,
              ece: Difference,
            },
            strict,
          ),
          gauc: Type.Optional(Difference),
          ranking: Type.Optional(
            Type.Object(
              {
                groups: count('Groups of at least two rows'),
                k: count('Length of the top list'),
                overlap: {
                  ...Estimate,
                  description: 'Mean share of the first version’s top k that the second ranks there too',
                },
                correlation: { ...Estimate, description: 'Mean rank correlation within groups (Spearman)' },
              },
              { ...strict, description: 'How alike both versions rank within groups' },
            ),
          ),
        },
        strict,
      ),
    ),
  },
  { ...strict, description: 'Paired comparison of two versions on the same rows' },
)
