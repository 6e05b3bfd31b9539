import Type, { type Static } from 'typebox'

/*
 * `GET /debug/prediction-log`: where the prediction log is written, and whether it can be.
 */

const share = (description: string) => Type.Number({ description })

export type LogSettings = Static<typeof LogSettings>
export const LogSettings = Type.Object({
  folder: Type.String({ description: 'An absolute path' }),
  format: Type.String({ description: 'Format of finished files', examples: ['jsonl'] }),
  sample: share('Share of requests that are recorded'),
  failed: share('Share of the requests that fail'),
  slow: share('Share of the requests that take `slow_ms` or longer'),
  slow_ms: Type.Number(),
  file_bytes: Type.Integer({ description: 'Size at which a file ends' }),
  file_seconds: Type.Number({ description: 'Age at which a file ends' }),
  max_days: Type.Number({ description: 'Age at which a finished file is removed' }),
})

export type LogDropped = Static<typeof LogDropped>
export const LogDropped = Type.Object(
  {
    full: Type.Integer({ description: 'The buffer was full' }),
    too_large: Type.Integer({ description: 'They were larger than a quarter of the buffer' }),
    disk: Type.Integer({ description: 'The disk took nothing' }),
    unreadable: Type.Integer({ description: 'They could not be read again' }),
  },
  { description: 'Requests that were to be recorded and were not, by reason, since the processes started' },
)

export type LogFile = Static<typeof LogFile>
export const LogFile = Type.Object(
  {
    model: Type.Optional(Type.String({ description: 'Absent with the version for requests that met none' })),
    version: Type.Optional(Type.String()),
    name: Type.String(),
    bytes: Type.Integer(),
    written_at: Type.String({ description: 'When it was last written, ISO 8601' }),
    open: Type.Boolean({ description: 'It is still written, or its process has died' }),
  },
  { description: 'A file of the prediction log' },
)

export type LogFileList = Static<typeof LogFileList>
export const LogFileList = Type.Object({
  newest: Type.Array(LogFile, { description: 'At most 20, the last begun first' }),
  missing: Type.Optional(
    Type.Union([Type.Literal('too_many'), Type.Literal('slow')], {
      description:
        'Why others may be newer: the folder has more files than are looked at, or did not answer within a second',
    }),
  ),
})

export type PredictionLogDetails = Static<typeof PredictionLogDetails>
export const PredictionLogDetails = Type.Object(
  {
    settings: LogSettings,
    records: Type.Integer({ description: 'Requests recorded since the processes started' }),
    bytes: Type.Integer({ description: 'Bytes written since then' }),
    dropped: LogDropped,
    buffer: Type.Object(
      { bytes: Type.Integer(), max_bytes: Type.Integer() },
      { description: 'Bytes of requests that wait to be written, in the buffers of all processes' },
    ),
    disk: Type.Object(
      { bytes: Type.Integer(), max_bytes: Type.Integer() },
      { description: 'Bytes of finished files; the oldest ones beyond `max_bytes` are removed' },
    ),
    problem: Type.Optional(Type.String({ description: 'Why a process can not write now' })),
    files: LogFileList,
  },
  { description: 'The prediction log of all processes' },
)

export type PredictionLogStatus = Static<typeof PredictionLogStatus>
export const PredictionLogStatus = Type.Object({
  log: Type.Union([PredictionLogDetails, Type.Null()], { description: 'null where the log is off' }),
})
