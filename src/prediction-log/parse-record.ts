import { type LogRecord, logSchema } from '../schemas/prediction-log.ts'

/** The record of a line. Throws an Error for one that is damaged, or newer than this program. */
export const parseRecord = (text: string): LogRecord => checkRecord(JSON.parse(text))

/** Throws an Error where a value is no record, or one of a newer program. */
export function checkRecord(value: unknown): LogRecord {
  const record = value as LogRecord
  if (typeof record !== 'object' || record === null || typeof record.request_id !== 'string')
    throw new Error('is no record of a prediction log')
  if (record.schema !== logSchema)
    throw new Error(`has the schema ${record.schema}; this version of multigate knows ${logSchema}`)
  return record
}
