import Type, { type Static } from 'typebox'

/*
 * The records of a prediction log as labelled rows: a row for each candidate that was answered, with the values that
 * were served.
 */

const strict = { additionalProperties: false } as const
const column = (description: string) => Type.String({ minLength: 1, maxLength: 256, description })
const Paths = (description: string) =>
  Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], {
    description,
  })

export type LogLabels = Static<typeof LogLabels>
export const LogLabels = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z_][A-Za-z0-9_]{0,63}$',
      default: 'label',
      description: 'A name, such as click: the column that the rows get, 1 where there was such an event, else 0',
    }),
    csv: Type.Optional(Paths('CSV files of events, a row for each; paths relative to the spec')),
    parquet: Type.Optional(Paths('Parquet files of events, instead of `csv`')),
    request: column('Column of request ids'),
    candidate: column('Column of the ids of candidates; of their positions where requests have no ids'),
    where: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description: 'Which rows are such events, in CEL over the columns of the files; default: all',
      }),
    ),
    time: Type.Optional(
      column('Column of times: seconds since 1970, or ISO 8601; default: events are not bounded in time'),
    ),
    window: Type.Optional(
      Type.String({
        pattern: '^\\d+(?:\\.\\d+)?(?:s|m|h|d)$',
        description: 'A time, such as 30m, 24h or 7d: how long after its request an event counts; needs `time`',
      }),
    ),
  },
  { ...strict, description: 'Events that candidates of logged requests had, by request and candidate' },
)

export type LogData = Static<typeof LogData>
export const LogData = Type.Object(
  {
    log: Paths('Prediction logs: folders relative to the spec, s3://bucket/prefix or gs://bucket/prefix'),
    model: Type.Optional(Type.String({ minLength: 1, description: 'Default: the only one that the log has' })),
    versions: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        uniqueItems: true,
        description: 'Versions whose answers are rows; default: all',
      }),
    ),
    labels: Type.Optional(
      Type.Union([LogLabels, Type.Array(LogLabels, { minItems: 1, maxItems: 64 })], {
        description: 'Where events are, such as clicks; each adds a column',
      }),
    ),
    sample: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      default: 1,
      description: 'Share of the recorded requests that are rows, by the hash that the server samples by',
    }),
    skip_damaged: Type.Boolean({ default: false, description: 'Do without the rest of damaged files' }),
    tables: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Folder of the feature tables that entities name; default: `.tables` in the models folder',
      }),
    ),
  },
  {
    ...strict,
    description:
      'Answered candidates of a prediction log; besides fields, columns are log_request, log_trace, log_time, log_version, log_position, log_id, log_bid, log_score, log_rank, log_weight, and log_raw_ and log_served_ with the name of a task',
  },
)
