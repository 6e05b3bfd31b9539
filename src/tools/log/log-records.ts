import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { readLines } from '../../base/lines.ts'
import { type LogRecord, logSchema } from '../../schemas/prediction-log.ts'

/** A file of a prediction log. */
export interface LogFile {
  path: string
  /** Its name, which begins with the time at which it was begun. */
  name: string
  /** It is being written, or its process died. */
  isOpen: boolean
}

/** A file of a log, without what may follow it. */
const named = String.raw`^\d{8}T\d{9}Z-.+\.jsonl`
const logName = new RegExp(String.raw`${named}(?:\.open)?$`)
/** How the name of a copy ends while records are erased. */
export const keptEnd = '.kept'
const keptName = new RegExp(String.raw`${named}\.kept$`)

/** The files of a log, the oldest first. Throws MODEL_NOT_FOUND where the folder can't be read. */
export async function logFiles(folder: string): Promise<LogFile[]> {
  const entries = await filesNamed(folder, logName)
  return entries
    .map(({ name, parentPath }) => ({ name, path: join(parentPath, name), isOpen: name.endsWith('.open') }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The files of a log, at least one. Throws MODEL_NOT_FOUND. */
export async function expectFiles(folder: string): Promise<LogFile[]> {
  const files = await logFiles(folder)
  if (files.length > 0) return files
  throw new ModelError(
    'MODEL_NOT_FOUND',
    `${folder} has no files of a prediction log: is it the folder that MULTIGATE_PREDICTION_LOG names?`,
  )
}

/** Copies that processes have left behind when they were killed, or write at this moment. */
export async function leftovers(folder: string): Promise<string[]> {
  return (await filesNamed(folder, keptName)).map(({ name, parentPath }) => join(parentPath, name))
}

async function filesNamed(folder: string, wanted: RegExp): Promise<{ name: string; parentPath: string }[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    return entries.filter((entry) => entry.isFile() && wanted.test(entry.name))
  } catch (error) {
    throw new ModelError('MODEL_NOT_FOUND', `${folder} can't be read: ${reasonOf(error)}`, { cause: error })
  }
}

/** The name of a file once it is complete. */
export const finishedPath = ({ path, isOpen }: LogFile) => (isOpen ? path.slice(0, -'.open'.length) : path)

/** Opens a file that may be completed, or removed for its age, at this moment; undefined: it is gone. */
async function openFile(file: LogFile): Promise<FileHandle | undefined> {
  for (const path of new Set([file.path, finishedPath(file)]))
    try {
      return await open(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  return undefined
}

/** A line of a file; `record`: undefined for one that is left out. */
export interface LogLine {
  text: string
  record: LogRecord
}

/**
 * The records of a file; none of one that has been removed. Throws INVALID_REQUEST, with the file and the line, for one
 * that is damaged or newer than this program; the last line of an open file may be written at this moment, and is left
 * out then.
 */
export async function* readRecords(file: LogFile, signal?: AbortSignal): AsyncGenerator<LogLine> {
  const { path, isOpen } = file
  const handle = await openFile(file)
  if (handle === undefined) return
  let number = 0
  let damaged: ModelError | undefined
  for await (const text of readLines(handle.createReadStream({ signal, highWaterMark: 1 << 18 }))) {
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
