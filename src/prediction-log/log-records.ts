import { type FileHandle, open, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ModelError, reasonOf } from '../base/errors.ts'
import { readLines } from '../base/lines.ts'
import type { LogRecord } from '../schemas/prediction-log.ts'
import { isCopy } from './copies.ts'
import { jsonText } from './json-text.ts'
import { readParquet } from './parquet/read-parquet.ts'
import { checkRecord, DamagedFile, parseRecord } from './parse-record.ts'

/** A file of a prediction log. */
export interface LogFile {
  path: string
  /** Its name, which begins with the time at which it was begun. */
  name: string
  /** It is being written, or its process died. */
  isOpen: boolean
  /** Its size, where the place that has it says so. */
  bytes?: number
  /** Opens a copy of a file that is on no disk of this machine; undefined: it is gone. */
  bring?(signal?: AbortSignal): Promise<FileHandle | undefined>
}

/** A file of a log, without what may follow it. */
const named = String.raw`^\d{8}T\d{9}Z-.+\.`
const finishedName = new RegExp(`${named}(?:jsonl|parquet)$`)
const openName = new RegExp(String.raw`${named}jsonl\.open$`)

/** Whether a finished file of a log has such a name. */
export const isLogFile = (name: string): boolean => finishedName.test(name)

/** The kinds of files, whatever their names. */
const kinds = /\.(?:jsonl(?:\.open)?|parquet)$/

/** The files of a log, the oldest first; of a path to one file, this. Throws MODEL_NOT_FOUND if it can't be read. */
export async function logFiles(log: string): Promise<LogFile[]> {
  const files = (await listFiles(log)).map((path) => ({ path, name: basename(path), isOpen: path.endsWith('.open') }))
  return inOrder(
    files.filter(({ path, name }) => (path === log ? kinds.test(name) : isLogFile(name) || openName.test(name))),
  )
}

/** Files from the oldest to the newest, those that are there twice once. */
export function inOrder(files: readonly LogFile[]): LogFile[] {
  const paths = new Set(files.map(({ path }) => path))
  // A process that was killed while it converted a file may leave both, and a copy of a log may have a file and what it
  // was before: the records are the same.
  const isTwice = ({ path, isOpen }: LogFile) =>
    isOpen ? paths.has(path.slice(0, -'.open'.length)) : path.endsWith('.parquet') && paths.has(otherPath(path))
  return files.filter((file) => !isTwice(file)).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The files of a log, at least one. Throws MODEL_NOT_FOUND. */
export async function expectFiles(folder: string): Promise<LogFile[]> {
  return unlessNone(await logFiles(folder), folder)
}

/** The files, at least one. Throws MODEL_NOT_FOUND. */
export function unlessNone(files: LogFile[], log: string): LogFile[] {
  if (files.length > 0) return files
  throw new ModelError(
    'MODEL_NOT_FOUND',
    `${log} has no files of a prediction log: is it the folder that MULTIGATE_PREDICTION_LOG names, or a .jsonl or .parquet file?`,
  )
}

/** Copies that processes have left behind when they were killed, or write at this moment. */
export async function leftovers(folder: string): Promise<string[]> {
  return (await listFiles(folder)).filter((path) => isCopy(basename(path)))
}

/** The paths of all files of a folder; of a path to a file, this. */
async function listFiles(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { recursive: true, withFileTypes: true })
    return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return [path]
    throw new ModelError('MODEL_NOT_FOUND', `${path} can't be read: ${reasonOf(error)}`, { cause: error })
  }
}

/** The name of a finished file after it has been converted to the other kind. */
export const otherPath = (path: string) =>
  path.endsWith('.parquet') ? path.replace(/parquet$/, 'jsonl') : path.replace(/jsonl$/, 'parquet')

/** The name of a file once it is complete. */
export const finishedPath = ({ path, isOpen }: LogFile) => (isOpen ? path.slice(0, -'.open'.length) : path)

/** Opens a file that may be completed, converted, or removed for its age, at this moment; undefined: it is gone. */
async function openFile(
  file: LogFile,
  signal: AbortSignal | undefined,
): Promise<{ path: string; handle: FileHandle } | undefined> {
  if (file.bring) {
    const handle = await file.bring(signal)
    return handle && { path: file.path, handle }
  }
  const finished = finishedPath(file)
  for (const path of new Set([file.path, finished, otherPath(finished)]))
    try {
      return { path, handle: await open(path) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  return undefined
}

/** A record of a file. */
export interface LogLine {
  /** The line that it is, or would be in JSON. */
  readonly text: string
  readonly record: LogRecord
  /** Bytes that were read for it, about; 0 for one of many that were read together. */
  readonly bytes: number
}

/**
 * The records of a file; none of one that has been removed. Throws a DamagedFile, with the file and the line, for one
 * that is damaged or newer than this program; the last line of an open file may be written at this moment, and is left
 * out then.
 */
export async function* readRecords(file: LogFile, signal?: AbortSignal): AsyncGenerator<LogLine> {
  const { isOpen } = file
  const opened = await openFile(file, signal)
  if (opened === undefined) return
  const { path, handle } = opened
  if (path.endsWith('.parquet')) {
    yield* parquetRecords(path, handle, signal)
    return
  }
  let number = 0
  let damaged: DamagedFile | undefined
  for await (const text of readLines(handle.createReadStream({ start: 0, signal, highWaterMark: 1 << 18 }))) {
    if (damaged) throw damaged
    number++
    try {
      yield { text, record: parseRecord(text), bytes: text.length + 1 }
    } catch (error) {
      damaged = new DamagedFile('INVALID_REQUEST', `${path}, line ${number}: ${reasonOf(error)}`)
    }
  }
  if (damaged && !isOpen) throw damaged
}

async function* parquetRecords(path: string, handle: FileHandle, signal?: AbortSignal): AsyncGenerator<LogLine> {
  try {
    for await (const record of readParquet(handle, signal)) yield new ParquetLine(checkRecord(record))
  } catch (error) {
    if (signal?.aborted) throw error
    throw new DamagedFile('INVALID_REQUEST', `${path}, ${reasonOf(error)}`)
  } finally {
    await handle.close()
  }
}

/** Text is made of a record where somebody asks for it. */
class ParquetLine implements LogLine {
  readonly record: LogRecord
  readonly bytes = 0

  constructor(record: LogRecord) {
    this.record = record
  }

  get text(): string {
    return jsonText(this.record)
  }
}
