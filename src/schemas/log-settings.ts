import Type from 'typebox'

const Share = (description: string, value: number) =>
  Type.Number({ minimum: 0, maximum: 1, default: value, description })

/** Settings of the prediction log, part of the configuration. */
export const logSettings = {
  MULTIGATE_PREDICTION_LOG: Type.String({
    default: '',
    description:
      'Folder of the prediction log, which records requests with all that they sent and were answered; empty: none',
  }),
  MULTIGATE_PREDICTION_LOG_SAMPLE: Share(
    'Share of requests that the prediction log records, by a hash of the trace id, or else of the request id',
    1,
  ),
  MULTIGATE_PREDICTION_LOG_FAILED: Share('Share of the requests that fail that it records', 1),
  MULTIGATE_PREDICTION_LOG_SLOW: Share(
    'Share of the requests that take `MULTIGATE_PREDICTION_LOG_SLOW_MS` or longer that it records',
    1,
  ),
  MULTIGATE_PREDICTION_LOG_SLOW_MS: Type.Number({
    minimum: 0,
    default: 1000,
    description: 'From when on a request is slow, ms',
  }),
  MULTIGATE_PREDICTION_LOG_BUFFER_BYTES: Type.Integer({
    minimum: 65_536,
    maximum: 2 ** 30,
    default: 2 ** 25,
    description:
      'Memory of requests that wait to be written, in bytes; others are dropped, as are those larger than a quarter of it',
  }),
  MULTIGATE_PREDICTION_LOG_FILE_BYTES: Type.Integer({
    minimum: 4096,
    default: 2 ** 26,
    description: 'Size at which a file of the prediction log ends, in bytes',
  }),
  MULTIGATE_PREDICTION_LOG_FILE_SECONDS: Type.Number({
    minimum: 1,
    maximum: 86_400,
    default: 300,
    description: 'Age at which a file of the prediction log ends, in seconds',
  }),
  MULTIGATE_PREDICTION_LOG_FORMAT: Type.Union([Type.Literal('jsonl'), Type.Literal('parquet')], {
    default: 'jsonl',
    description:
      'Format of finished files: `jsonl`, lines of JSON, or `parquet`, to which a thread of low priority converts them',
  }),
  MULTIGATE_PREDICTION_LOG_MAX_BYTES: Type.Integer({
    minimum: 0,
    default: 10 * 2 ** 30,
    description:
      'Bytes of finished files; the oldest ones beyond them are removed; at least `MULTIGATE_PREDICTION_LOG_FILE_BYTES`',
  }),
  MULTIGATE_PREDICTION_LOG_MAX_DAYS: Type.Number({
    minimum: 0,
    default: 7,
    description: 'Days after which a finished file is removed',
  }),
  MULTIGATE_LOG_SECRET: Type.String({
    default: '',
    description:
      'Secret of the hashes of fields that manifests mark `log: hash`: equal values have equal hashes as long as it stays; when empty, the prediction log leaves these fields out',
  }),
}
