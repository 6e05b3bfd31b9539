import { Compile } from 'typebox/schema'
import { ModelError } from '../base/errors.ts'
import { plainProblems } from '../schemas/check.ts'
import { isObject } from '../schemas/json.ts'
import { type LogRecord, logSchema, ReadableRecord } from '../schemas/prediction-log.ts'
import { wellFormedLine } from './json-text.ts'

/** A file of a prediction log that has something else than records, or those of a newer program. */
export class DamagedFile extends ModelError {}

const readable = Compile(ReadableRecord)

/** The record of a line. Throws an Error for one that is damaged, or newer than this program. */
export const parseRecord = (text: string): LogRecord => checkRecord(JSON.parse(wellFormedLine(text)))

/** Throws an Error where a value is no record, or one of a newer program. */
export function checkRecord(value: unknown): LogRecord {
  if (!isObject(value) || typeof value.request_id !== 'string') throw new Error('is no record of a prediction log')
  if (value.schema !== logSchema)
    throw new Error(`has the schema ${value.schema}; this version of multigate knows ${logSchema}`)
  if (!readable.Check(value)) {
    const [problem] = readable.Errors(value)[1].flatMap(plainProblems)
    throw new Error(`${problem?.path || 'it'} ${problem?.message}`)
  }
  if (Number.isNaN(Date.parse(value.time))) throw new Error(`/time ${JSON.stringify(value.time)} is none`)
  return value as LogRecord
}
