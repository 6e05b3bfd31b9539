import Type, { type Static } from '#typebox'
import { ArchitectureOptions } from './architecture.ts'
import { LoggedAs, Side } from './features.ts'
import { DerivedTask, ModelName, Precision, TaskName } from './manifest.ts'

/*
 * A training specification: everything `multigate train` needs to make a model version out of data.
 * Expressions are CEL (Common Expression Language) over the data's columns; see docs/training.md.
 */

const strict = { additionalProperties: false } as const
const column = (description: string) => Type.String({ minLength: 1, maxLength: 256, description })
const expression = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description })
const fraction = (value: number, description: string) =>
  Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1, default: value, description })
const seed = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, default: 1, description: 'Seed' })

export type CsvData = Static<typeof CsvData>
export const CsvData = Type.Object(
  {
    csv: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'CSV files, read one after the other; paths relative to the spec; `.gz` is decompressed',
    }),
    columns: Type.Optional(
      Type.Array(column('Name of a column'), {
        minItems: 1,
        uniqueItems: true,
        description: "The columns' names, of files without a header; else the first line of each file names them",
      }),
    ),
    separator: Type.String({ minLength: 1, maxLength: 1, default: ',', description: 'Character between cells' }),
    trim: Type.Boolean({ default: false, description: 'Remove white space around every cell' }),
    missing: Type.Array(Type.String(), { default: [''], description: 'Cells that mean "no value"' }),
  },
  { ...strict, description: 'Rows of CSV files; every column is a string' },
)

export type AdsFunnelData = Static<typeof AdsFunnelData>
export const AdsFunnelData = Type.Object(
  {
    generator: Type.Literal('ads-funnel'),
    rows: Type.Integer({ minimum: 1, maximum: 100_000_000, default: 100_000, description: 'Impressions' }),
    seed,
    click_rate: fraction(0.025, 'Mean probability of a click'),
    conversion_rate: fraction(0.12, 'Mean probability that a click converts'),
    relation: Type.Number({
      minimum: -1,
      maximum: 1,
      default: 0.6,
      description: 'Correlation of the tastes that lead to a click and to a conversion',
    }),
  },
  { ...strict, description: 'Synthetic ad impressions whose true probabilities are known' },
)

export type TrainData = Static<typeof TrainData>
export const TrainData = Type.Union([CsvData, AdsFunnelData], { description: 'Where the rows come from' })

export type TrainTask = Static<typeof TrainTask>
export const TrainTask = Type.Object(
  {
    name: TaskName,
    description: Type.Optional(Type.String()),
    label: expression('The label: true or false, 1 or 0; a row where a column that it names is missing has none'),
    where: Type.Optional(
      expression("The task's sample space: rows where this is false or unknown do not count in its loss and metrics"),
    ),
    weight: Type.Number({ exclusiveMinimum: 0, default: 1, description: "The task's weight in the loss" }),
    calibration: Type.Optional(Type.Literal('platt', { description: 'Fit σ(a · logit + b) on the validation rows' })),
    oracle: Type.Optional(column('Column that holds the true probability, for the report alone')),
  },
  { ...strict, description: 'One output of the network' },
)

const fieldCommon = {
  name: Type.String({
    minLength: 1,
    maxLength: 128,
    pattern: '^(?!(?:id|bid)$)[^\\u0000-\\u001f]+$',
    description: 'Name of the field in requests; `id` and `bid` are reserved',
  }),
  column: Type.Optional(column("Column that holds the values; default: the field's name")),
  expression: Type.Optional(expression('Computes the values from columns, instead of `column`')),
  side: Type.Union(Side.anyOf, { default: 'candidate', description: 'What the value depends on, see the manifest' }),
}
const outOfVocabulary = Type.Union([Type.Literal('bucket'), Type.Literal('error')], {
  default: 'bucket',
  description: 'What an unknown value does when served',
})
const missing = <T extends Type.TSchema>(value: T) =>
  Type.Union([Type.Literal('error'), Type.Object({ default: value }, strict)], {
    default: 'error',
    description: 'What a missing value does, in training and when served',
  })

export type TrainField = Static<typeof TrainField>
export const TrainField = Type.Union(
  [
    Type.Object(
      {
        ...fieldCommon,
        kind: Type.Literal('vocabulary'),
        min_count: Type.Integer({
          minimum: 1,
          default: 1,
          description: 'Values seen in fewer training rows count as unknown',
        }),
        out_of_vocabulary: outOfVocabulary,
        missing: missing(Type.String()),
        log: LoggedAs,
      },
      { ...strict, description: 'A string looked up in the list of values of the training rows' },
    ),
    Type.Object(
      {
        ...fieldCommon,
        kind: Type.Literal('hash'),
        buckets: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1, description: 'Number of ids' }),
        seed: Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1, default: 0, description: 'Seed of the hash' }),
        missing: missing(Type.String()),
        log: LoggedAs,
      },
      { ...strict, description: 'A string hashed to an id' },
    ),
    Type.Object(
      {
        ...fieldCommon,
        kind: Type.Literal('integer'),
        size: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 2, description: 'Known ids are 0 … size − 1' }),
        out_of_vocabulary: outOfVocabulary,
        missing: missing(Type.Integer()),
        log: LoggedAs,
      },
      { ...strict, description: 'An integer that is an id already' },
    ),
    Type.Object(
      {
        ...fieldCommon,
        kind: Type.Literal('numeric'),
        scaling: Type.Union(
          [Type.Literal('standard'), Type.Literal('min_max'), Type.Literal('log1p'), Type.Literal('none')],
          {
            default: 'standard',
            description: 'How a number is scaled, by statistics of the training rows',
          },
        ),
        missing: missing(Type.Number()),
        log: LoggedAs,
      },
      { ...strict, description: 'A number' },
    ),
  ],
  { description: 'One input field' },
)

const fractions = {
  train: fraction(0.6, 'Share of the rows that is learnt from'),
  validation: fraction(0.2, 'Share of the rows for early stopping and calibration'),
  test: fraction(0.2, 'Share of the rows for the report'),
}

export type Split = Static<typeof Split>
export const Split = Type.Union(
  [
    Type.Object(
      { by: Type.Literal('order'), ...fractions },
      { ...strict, description: 'First rows train, last rows test' },
    ),
    Type.Object(
      { by: Type.Literal('time'), column: column('Column of numbers that grow with time'), ...fractions },
      { ...strict, description: 'Earliest rows train, latest test; rows of one time stay together' },
    ),
    Type.Object({ by: Type.Literal('random'), seed, ...fractions }, { ...strict, description: 'Each row is drawn' }),
  ],
  { description: 'Which rows train, which validate, which test; fractions sum to 1' },
)

export type Training = Static<typeof Training>
export const Training = Type.Object(
  {
    epochs: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 5,
      description: 'Most passes over the training rows',
    }),
    batch_size: Type.Integer({ minimum: 2, maximum: 1_000_000, default: 512, description: 'Rows a step' }),
    learning_rate: Type.Number({ exclusiveMinimum: 0, default: 0.001, description: "Adam's learning rate" }),
    seed,
    patience: Type.Integer({
      minimum: 1,
      default: 2,
      description: 'Epochs without a better one, by `select`, before it stops; the best weights are kept',
    }),
    select: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description:
          'What the validation rows compare epochs by: `<task>.auc`, `<task>.logloss` or `<task>.normalised_entropy`; default: the mean of all tasks’ normalised entropy',
      }),
    ),
    shuffle: Type.Boolean({ default: true, description: 'Draw a new order of the training rows each epoch' }),
  },
  { ...strict, description: 'How the network is fitted' },
)

export type TrainSpec = Static<typeof TrainSpec>
export const TrainSpec = Type.Object(
  {
    name: ModelName,
    version: Type.Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      default: 1,
      description: 'Version to write',
    }),
    description: Type.Optional(Type.String()),
    data: TrainData,
    tasks: Type.Array(TrainTask, {
      minItems: 1,
      maxItems: 256,
      description: "Tasks, in the order of the network's outputs",
    }),
    derived: Type.Array(DerivedTask, { default: [], maxItems: 256, description: 'Probabilities composed of others' }),
    fields: Type.Array(TrainField, { minItems: 1, maxItems: 4096, description: 'Input fields, in order' }),
    split: Split,
    architecture: ArchitectureOptions,
    training: Training,
    precision: Precision,
  },
  { ...strict, description: 'What `multigate train` makes a model of' },
)
