import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { type LogRecord, logSchema } from '../../schemas/prediction-log.ts'

/** A file of a prediction log. */
export interface LogFile {
  path: string
  /** Its name, which begins with the time at which it was begun. */
  name: string
  /** It is being written, or its process died. */
  isOpen: boolean
}

/** The files of a log, the oldest first. Throws MODEL_NOT_FOUND where the folder can't be read. */
export async function logFiles(folder: string): Promise<LogFile[]> {
  let entries: { isFile(): boolean; name: string; parentPath: string }[]
  try {
    entries = await readdir(folder, { recursive: true, withFileTypes: true })
  } catch (error) {
    throw new ModelError('MODEL_NOT_FOUND', `${folder} can't be read: ${reasonOf(error)}`, { cause: error })
  }
  return entries
    .filter((entry) => entry.isFile() && /^\d{8}T\d{9}Z-.+\.jsonl(?:\.open)?$/.test(entry.name))
    .map(({ name, parentPath }) => ({ name, path: join(parentPath, name), isOpen: name.endsWith('.open') }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** A line of a file; `record`: undefined for one that is left out. */
export interface LogLine {
  text: string
  record: LogRecord
}

/**
 * The records of a file. Throws INVALID_REQUEST, with the file and the line, for one that is damaged or newer than this
 * program; the last line of an open file may be written at this moment, and is left out then.
 */
export async function* readRecords({ path, isOpen }: LogFile, signal?: AbortSignal): AsyncGenerator<LogLine> {
  const lines = createInterface({ input: createReadStream(path, { signal }), crlfDelay: Number.POSITIVE_INFINITY })
  let number = 0
  let damaged: ModelError | undefined
  for await (const text of lines) {
    if (damaged) throw damaged
    number++
    try {
      yield { text, record: parse(text) }
    } catch (error) {
      damaged = new ModelError('INVALID_REQUEST', `${path}, line ${number}: ${reasonOf(error)}`)
    }
  }
  if (damaged && !isOpen) throw damaged
}

function parse(text: string): LogRecord {
  const record = JSON.parse(text) as LogRecord
  if (typeof record !== 'object' || record === null || typeof record.request_id !== 'string')
    throw new Error('is no record of a prediction log')
  if (record.schema !== logSchema)
    throw new Error(`has the schema ${record.schema}; this version of multigate knows ${logSchema}`)
  return record
}
