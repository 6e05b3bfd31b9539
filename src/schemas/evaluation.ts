import Type, { type Static } from 'typebox'
import { Comparison, count, Difference, Estimate, Metrics, orNull } from './comparison.ts'
import { JoinedTable } from './joined-table.ts'
import { TaskName } from './manifest.ts'
import { SequenceUse } from './sequence-use.ts'
import { PrecisionCheck } from './served-plan.ts'

/*
 * `report.json` of an evaluation: how good a model version is on labelled rows. The HTML report shows the same numbers.
 * Optional parts are absent where they do not apply.
 */

const strict = { additionalProperties: false } as const

export type ReliabilityBin = Static<typeof ReliabilityBin>
export const ReliabilityBin = Type.Object(
  {
    rows: count('Rows'),
    positives: count('Positive rows'),
    predicted: Type.Number({ description: 'Mean prediction' }),
    observed: Type.Number({ description: 'Positive rate' }),
    low: Type.Number({ description: '95 % interval of the positive rate (Wilson)' }),
    high: Type.Number(),
  },
  strict,
)

export type Slice = Static<typeof Slice>
export const Slice = Type.Object(
  {
    field: Type.String({ description: 'Field or column' }),
    value: Type.String({ description: 'Its value or range, for people' }),
    kind: Type.Union(
      [
        Type.Literal('value'),
        Type.Literal('range'),
        Type.Literal('missing'),
        Type.Literal('unknown'),
        Type.Literal('others'),
      ],
      {
        description:
          '`value`: one value; `range`: of a number; `missing`: no value; `unknown`: values outside the vocabulary; `others`: values too rare to be judged by themselves',
      },
    ),
    values: count('Number of values in it'),
    rows: count("Rows in the task's sample space"),
    positives: count('Positive rows'),
    metrics: Metrics,
  },
  { ...strict, description: 'One part of the rows, by the value of a field' },
)

export type TaskEvaluation = Static<typeof TaskEvaluation>
export const TaskEvaluation = Type.Object(
  {
    name: TaskName,
    description: Type.Optional(Type.String()),
    product: Type.Optional(Type.Array(Type.String(), { description: 'Of a derived task: its factors' })),
    rows: count("Rows in the task's sample space"),
    positives: count('Positive rows'),
    base_rate: orNull(Type.Number({ description: 'Weighted positive rate' })),
    calibration: Type.Optional(Type.String({ description: 'Method of its calibration' })),
    metrics: Metrics,
    ece_measured: orNull(Type.Number({ description: 'Expected calibration error before debiasing' })),
    ece_perfect: Type.Optional(
      Type.Object(
        { low: Type.Number(), high: Type.Number() },
        { ...strict, description: 'Where 95 % of measured ECEs of perfectly calibrated predictions lie at this size' },
      ),
    ),
    gauc: Type.Optional(
      Type.Object(
        {
          by_rows: Estimate,
          by_positives: Estimate,
          equally: Estimate,
          groups: count('Groups with both classes'),
          one_class_groups: count('Groups with one class, which have no AUC and do not count'),
        },
        { ...strict, description: 'Mean AUC within groups, weighted by their rows, by their positives, and equally' },
      ),
    ),
    oracle: Type.Optional(
      Type.Object(
        { auc: orNull(Type.Number()), logloss: orNull(Type.Number()), normalised_entropy: orNull(Type.Number()) },
        { ...strict, description: 'Metrics of the true probability, where the data has it' },
      ),
    ),
    baselines: Type.Object(
      {
        base_rate: Type.Object({ logloss: orNull(Type.Number()) }, { ...strict, description: 'The best constant' }),
        logistic: Type.Optional(
          Type.Object(
            {
              metrics: Metrics,
              fitted: Type.String({ description: 'On which rows' }),
              crossed: Type.Optional(
                Type.Array(Type.String(), {
                  description:
                    "Combinations of fields that it had: the version's crossed fields, or pairs that it chose where those are none",
                }),
              ),
              differences: Type.Optional(
                Type.Object(
                  { auc: Difference, normalised_entropy: Difference },
                  { ...strict, description: 'From the regression (a) to the version (b), on the same rows' },
                ),
              ),
            },
            { ...strict, description: 'Logistic regression on the same fields' },
          ),
        ),
      },
      { ...strict, description: 'What simpler predictions reach on the same rows' },
    ),
    roc: Type.Object(
      { fpr: Type.Array(Type.Number()), tpr: Type.Array(Type.Number()) },
      { ...strict, description: 'False and true positive rates; points of the curve' },
    ),
    reliability: Type.Object(
      {
        served: Type.Array(ReliabilityBin),
        uncalibrated: Type.Optional(Type.Array(ReliabilityBin)),
      },
      { ...strict, description: 'Bins of equal weight, lowest predictions first' },
    ),
    histogram: Type.Object(
      {
        edges: Type.Array(Type.Number(), { description: 'Of bins of probability; equal steps of its logit' }),
        negatives: Type.Array(Type.Number(), { description: 'Share of the negative rows per bin' }),
        positives: Type.Array(Type.Number(), { description: 'Share of the positive rows per bin' }),
      },
      strict,
    ),
    slices: Type.Array(Slice, { description: 'Worst calibrated first' }),
  },
  { ...strict, description: 'One task or derived task' },
)

export type PublishOutcome = Static<typeof PublishOutcome>
export const PublishOutcome = Type.Object(
  {
    passed: Type.Boolean(),
    conditions: Type.Array(
      Type.Object(
        {
          condition: Type.String({ description: 'For people: `ctr auc ≥ 0.72`' }),
          passed: Type.Boolean(),
          found: Type.String({ description: 'The value found, for people: `0.7312 (0.7250 … 0.7374)`' }),
        },
        strict,
      ),
    ),
  },
  { ...strict, description: 'Conditions that a version must meet to be published' },
)

export type DriftRow = Static<typeof DriftRow>
export const DriftRow = Type.Object(
  {
    kind: Type.Union([Type.Literal('feature'), Type.Literal('length'), Type.Literal('task')], {
      description: '`length`: how many values a list has',
    }),
    name: Type.String(),
    psi: Type.Number({ description: 'Population stability index; by convention .1 is moderate, .25 major' }),
    bins: Type.Array(Type.String(), { description: 'Names of the bins' }),
    reference: Type.Array(Type.Number(), { description: 'Shares when the version was made' }),
    rows: Type.Array(Type.Number(), { description: 'Shares of these rows' }),
  },
  strict,
)

export type GateUse = Static<typeof GateUse>
export const GateUse = Type.Object(
  {
    experts: count('Number of experts'),
    rows: count('Rows sampled'),
    tasks: Type.Array(
      Type.Object(
        { task: Type.String(), weights: Type.Array(Type.Number({ description: 'Mean weight per expert' })) },
        strict,
      ),
    ),
    slices: Type.Array(
      Type.Object(
        {
          field: Type.String(),
          value: Type.String(),
          task: Type.String(),
          rows: Type.Integer(),
          weights: Type.Array(Type.Number()),
        },
        strict,
      ),
      { description: 'Mean weights of the largest slices' },
    ),
  },
  { ...strict, description: 'How the gates weight the experts' },
)

export type Epoch = Static<typeof Epoch>
export const Epoch = Type.Object(
  {
    epoch: Type.Integer(),
    loss: Type.Number({ description: 'Mean loss of the steps, without the penalty on embeddings' }),
    validation_loss: orNull(Type.Number()),
    auc: Type.Record(Type.String(), orNull(Type.Number()), { description: 'Per task, on the validation rows' }),
  },
  { description: 'One pass over the training rows' },
)

export type EvaluationReport = Static<typeof EvaluationReport>
export const EvaluationReport = Type.Object(
  {
    report: Type.Literal(1, { description: 'Version of this format' }),
    created: Type.String({ description: 'ISO 8601 time' }),
    command: Type.String(),
    multigate: Type.String({ description: 'Version of multigate' }),
    seed: Type.Integer({ description: 'Of the bootstrap' }),
    replicates: Type.Integer({ description: 'Of the bootstrap' }),
    model: Type.Object(
      {
        name: Type.String(),
        version: Type.String(),
        description: Type.Optional(Type.String()),
        url: Type.Optional(Type.String({ description: 'The service that predicted' })),
        engine: Type.Optional(Type.String()),
        precision: Type.Optional(Type.String()),
        compiled: Type.Optional(Type.Boolean()),
        architecture: Type.Optional(Type.Unknown({ description: 'Options, as in the manifest' })),
        graph: Type.Optional(Type.String({ description: 'Format of the saved graph' })),
        digest: Type.Optional(Type.String({ description: 'SHA-256 of the saved graph' })),
        bytes: Type.Optional(Type.Integer({ description: 'Size of its files' })),
        fields: Type.Array(
          Type.Object(
            {
              name: Type.String(),
              side: Type.String(),
              kind: Type.String(),
              ids: Type.Optional(Type.Integer({ description: 'Number of ids' })),
              unknown: Type.Number({ description: 'Share of the rows whose value the model does not know' }),
            },
            strict,
          ),
        ),
        provenance: Type.Optional(Type.Unknown({ description: 'As in the manifest' })),
      },
      strict,
    ),
    data: Type.Object(
      {
        spec: Type.String({ description: 'The spec’s file name' }),
        source: Type.String({ description: 'Files or generator' }),
        rows: count('Rows read'),
        part: Type.String({
          description:
            'Which of them are judged: `all`, a part of the split, or `half`, where a calibration was fitted to the other half',
        }),
        judged: count('Rows judged'),
        left_out: Type.Optional(
          count('Further rows of the part, which a server does not answer: a feature table lacks their key'),
        ),
        group: Type.Optional(Type.String({ description: 'Column of the groups' })),
        groups: Type.Optional(count('Groups among the judged rows')),
        weight: Type.Optional(Type.String({ description: 'Column of the weights' })),
        tables: Type.Optional(Type.Array(JoinedTable, { description: 'The feature tables that rows have values of' })),
      },
      strict,
    ),
    warnings: Type.Array(Type.String()),
    tasks: Type.Array(TaskEvaluation),
    comparison: Type.Optional(Comparison),
    publish: Type.Optional(PublishOutcome),
    int8_check: Type.Optional(PrecisionCheck),
    bfloat16_check: Type.Optional(PrecisionCheck),
    drift: Type.Optional(Type.Array(DriftRow)),
    gates: Type.Optional(GateUse),
    history: Type.Optional(Type.Array(Epoch)),
    sequences: Type.Optional(Type.Array(SequenceUse)),
  },
  { ...strict, description: 'report.json: an evaluation of a model version' },
)
