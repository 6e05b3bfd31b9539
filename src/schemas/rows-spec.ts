import Type, { type Static } from 'typebox'
import { History } from './history.ts'
import { LogData } from './log-data.ts'
import { TaskName } from './manifest.ts'
import { Publish } from './publish.ts'

/*
 * Labelled rows: where they are, what their labels mean, and how they are grouped, weighted, sliced and split. A
 * training spec (train-spec.ts) says the same of its rows. Expressions are CEL (Common Expression Language) over the
 * data's columns.
 */

export const strict = { additionalProperties: false } as const
export const column = (description: string) => Type.String({ minLength: 1, maxLength: 256, description })
export const expression = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description })
const share = (description: string) => Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1, description })
const fraction = (value: number, description: string) =>
  Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1, default: value, description })
export const seed = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, default: 1, description: 'Seed' })

export type PartFiles = Static<typeof PartFiles>
export const PartFiles = Type.Object(
  {
    files: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'Files of the same form and columns as those of `csv` or `parquet`',
    }),
    last: Type.Optional(share('Share of their rows, the last ones, that are the part; the others are not used')),
  },
  { ...strict, description: 'Files whose rows are one part; `split` divides the other files' },
)

const filesCommon = {
  validation: Type.Optional(PartFiles),
  test: Type.Optional(PartFiles),
  past: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'Files of the same form and columns, whose rows are in histories alone, and in no part',
    }),
  ),
  tables: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'Folder of the feature tables that entities name, relative to the spec; default: `.tables` in the models folder of the version',
    }),
  ),
  obtain: Type.Optional(
    Type.String({ maxLength: 1024, description: 'Where the files come from, for the message if one is missing' }),
  ),
}

export type CsvData = Static<typeof CsvData>
export const CsvData = Type.Object(
  {
    csv: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description:
        'CSV files in UTF-8, read one after the other; paths relative to the spec; `.gz` is decompressed; text in another encoding is refused',
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
    ...filesCommon,
  },
  { ...strict, description: 'Rows of CSV files; every column is a string' },
)

const impressions = (click: number, conversion: number) => ({
  rows: Type.Integer({ minimum: 1, maximum: 100_000_000, default: 100_000, description: 'Impressions' }),
  skip: Type.Integer({
    minimum: 0,
    maximum: 100_000_000,
    default: 0,
    description: 'Impressions of the same world to leave out before them, such as those that were trained on',
  }),
  seed,
  click_rate: fraction(click, 'Mean probability of a click'),
  conversion_rate: fraction(conversion, 'Mean probability that a click converts'),
})

export type AdsFunnelData = Static<typeof AdsFunnelData>
export const AdsFunnelData = Type.Object(
  {
    generator: Type.Literal('ads-funnel'),
    ...impressions(0.025, 0.12),
    relation: Type.Number({
      minimum: -1,
      maximum: 1,
      default: 0.6,
      description: 'Correlation of the tastes that lead to a click and to a conversion',
    }),
  },
  { ...strict, description: 'Synthetic ad impressions whose true probabilities are known' },
)

export type AdsHistoryData = Static<typeof AdsHistoryData>
export const AdsHistoryData = Type.Object(
  { generator: Type.Literal('ads-history'), ...impressions(0.05, 0.15) },
  {
    ...strict,
    description:
      'Synthetic ad impressions to users with a history of clicks, which the true probabilities, known too, depend on',
  },
)

export type SyntheticTasksData = Static<typeof SyntheticTasksData>
export const SyntheticTasksData = Type.Object(
  {
    generator: Type.Literal('synthetic-tasks'),
    rows: Type.Integer({ minimum: 1, maximum: 100_000_000, default: 100_000, description: 'Rows' }),
    skip: Type.Integer({ minimum: 0, maximum: 100_000_000, default: 0, description: 'Rows to leave out before them' }),
    seed,
    dim: Type.Integer({ minimum: 2, maximum: 4096, default: 100, description: 'Number of inputs, x1, x2, …' }),
    correlation: Type.Number({
      minimum: -1,
      maximum: 1,
      default: 0.5,
      description: 'Cosine of the angle between the directions that the two tasks depend on',
    }),
    sines: Type.Integer({ minimum: 0, maximum: 1000, default: 10, description: 'Number of sines in each target' }),
  },
  {
    ...strict,
    description:
      'Two regression targets, y1 and y2, of known correlation: the synthetic tasks of Ma et al., KDD 2018, section 3.2',
  },
)

export type ParquetData = Static<typeof ParquetData>
export const ParquetData = Type.Object(
  {
    parquet: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'Parquet files, read one after the other; paths relative to the spec',
    }),
    missing: Type.Array(Type.String(), {
      default: [''],
      description: 'Strings that mean "no value", besides null',
    }),
    ...filesCommon,
  },
  {
    ...strict,
    description:
      'Rows of Parquet files; columns are strings or numbers: true is 1 and false 0, dates and times are seconds since 1970, UTC',
  },
)

export type RowData = Static<typeof RowData>
export const RowData = Type.Union([CsvData, ParquetData, LogData, AdsFunnelData, AdsHistoryData, SyntheticTasksData], {
  description: 'Where the rows come from',
})

const fractions = {
  train: Type.Optional(share('Share of the rows that is learnt from; default: 0.6, or 0.8 of two parts')),
  validation: Type.Optional(share('Share of the rows for early stopping and calibration; default: 0.2')),
  test: Type.Optional(share('Share of the rows for the report; default: 0.2')),
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
    Type.Object(
      { by: Type.Literal('group'), seed, ...fractions },
      { ...strict, description: "Each group is drawn; a group's rows stay together" },
    ),
  ],
  {
    description:
      'Which rows train, which validate, which test; fractions sum to 1. A part that has files of its own in `data` has none',
  },
)

/** Everything that rows say about a task. */
export const taskCommon = {
  name: TaskName,
  label: expression('The label: true or false, 1 or 0; a row where a column that it names is missing has none'),
  where: Type.Optional(
    expression("The task's sample space: rows where this is false or unknown do not count in its loss and metrics"),
  ),
  negatives_kept: Type.Optional(
    Type.Number({
      minimum: 1e-6,
      maximum: 1,
      description:
        'Share of the negatives that the rows hold, after down-sampling: metrics weight each of them by its inverse',
    }),
  ),
  oracle: Type.Optional(column('Column that holds the true probability, for the report alone')),
}

export type RowsTask = Static<typeof RowsTask>
export const RowsTask = Type.Object(taskCommon, { ...strict, description: "A task's labels" })

export type RowsField = Static<typeof RowsField>
export const RowsField = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 128, description: "Name of the model's field" }),
    column: Type.Optional(column("Column that holds the values; default: the field's name")),
    expression: Type.Optional(expression('Computes the values from columns, instead of `column`')),
    list: Type.Optional(
      Type.Object(
        {
          separator: Type.String({
            minLength: 1,
            maxLength: 8,
            description:
              'What stands between the values, such as `|`; an empty cell is missing, unless `missing` is []',
          }),
        },
        {
          ...strict,
          description:
            'How a cell of text holds a list or a vector; default: as a JSON array. Lists of Parquet files need nothing',
        },
      ),
    ),
    weights: Type.Optional(column("Column of the weights of a weighted list's values, a list of the same form")),
  },
  { ...strict, description: 'Where the values of a field are' },
)

/** How rows are grouped, weighted and sliced. */
export const rowsCommon = {
  group: Type.Optional(
    column(
      'Column that names the group of a row, such as the user: intervals and GAUC respect that rows of a group are alike',
    ),
  ),
  history: Type.Optional(History),
  weight: Type.Optional(column("Column of the rows' weights, in loss and metrics; default: every row weighs 1")),
  slices: Type.Optional(
    Type.Array(column('Field or column'), {
      maxItems: 256,
      uniqueItems: true,
      description:
        'Fields or columns by whose values the report judges parts of the rows; default: fields of at most 50 values',
    }),
  ),
  publish: Type.Optional(Publish),
}

/** Where the values of a field are. A training spec says it of its own fields. */
export interface FieldPlace {
  name: string
  column?: string | undefined
  expression?: string | undefined
  list?: { separator?: string | undefined } | undefined
  weights?: string | undefined
}

export type RowsSpec = Omit<Static<typeof RowsSpec>, 'fields'> & { fields: readonly FieldPlace[] }
export const RowsSpec = Type.Object(
  {
    description: Type.Optional(Type.String()),
    data: RowData,
    tasks: Type.Array(RowsTask, {
      minItems: 1,
      maxItems: 256,
      description: "Labels of the model's tasks; of its derived tasks too, where they do not follow from those",
    }),
    fields: Type.Array(RowsField, {
      default: [],
      maxItems: 4096,
      description: 'Fields whose values are not in the column of their name',
    }),
    ...rowsCommon,
    split: Type.Optional(Split),
  },
  { ...strict, description: 'Labelled rows to judge or to calibrate a model with' },
)
