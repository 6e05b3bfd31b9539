import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../../base/clock.ts'
import { ModelError } from '../../../base/errors.ts'
import { replaceFile } from '../../../base/files.ts'
import { runThread } from '../../../base/one-shot-thread.ts'
import { describeTable, mapping, type SharedTable } from './open-table.ts'
import { fileNames, stampOf } from './table-folder.ts'
import { type TakenFiles, type TakenInThread, type TakeRequest, takeFiles } from './take-files.ts'

/*
 * A process that has mapped a file ends by SIGBUS when another program cuts the file short, as `rsync --inplace` and
 * `cp` do. So the server opens no file of a table where it is: small tables are read into memory, others copied into
 * the cache folder, `<cache>/tables/<digest>/`, which all processes of a machine share. Both are verified.
 */

/** Tables up to this size are read into memory in this thread, bytes: a few milliseconds. */
const smallBytes = 2 ** 22

/** A copy that no process has used for so long is removed, ms. */
const keptMs = 3600 * 1000
/** How often a process says that it uses a copy, ms. */
const touchedEvery = keptMs / 6

/** Beside the files of a copy: what they were like when they were verified, and of which files they are a copy. */
const recordFile = 'verified.json'

interface CopyRecord {
  copy: string
  /** The last of the folders with the same content, by their files. */
  sources: string[]
}

/** Most sources that a record names. */
const mostSources = 16

export interface TakenTable {
  shared: SharedTable
  /** Why its files are mapped where they are. */
  uncopied: string | undefined
  /** Lets its copy be removed. */
  release(): void
}

export interface TakeOptions {
  /** The folder of all copies; undefined: none are made. */
  copies: string | undefined
  clock: Pick<Clock, 'after'>
  /** Milliseconds since 1970. */
  now(): number
}

/**
 * Verifies a version of a table, and has its content where no other program writes. Rejects with INVALID_BUNDLE or an
 * Error that names the file and says what is wrong with it.
 */
export async function takeTable(folder: string, options: TakeOptions): Promise<TakenTable> {
  const { copies, clock, now } = options
  const stamp = await stampOf(folder)
  const described = describeTable(folder)
  const { description, digest } = described
  const bytes = Object.values(description.files).reduce((sum, file) => sum + file.bytes, 0)
  const shared = { folder, ...described }
  const request = { folder, description }
  if (bytes <= smallBytes || !mapping()) {
    const memory: TakeRequest = { ...request, into: 'memory' }
    const { files } = bytes <= smallBytes ? await takeFiles(memory) : await takeInThread(memory)
    await expectUnchanged(folder, stamp)
    return { shared: { ...shared, content: files! }, uncopied: undefined, release: () => undefined }
  }
  if (copies === undefined) {
    await takeInThread({ ...request, into: undefined })
    await expectUnchanged(folder, stamp)
    return { shared: { ...shared, content: folder }, uncopied: 'there is no cache folder', release: () => undefined }
  }
  const copy = join(copies, digest)
  const release = keepInUse(copy, clock, now)
  try {
    const record = await readRecord(copy)
    let uncopied: string | undefined
    if (!record?.sources.includes(stamp)) {
      ;({ uncopied } = await takeInThread({ ...request, into: record ? undefined : { copy } }))
      await expectUnchanged(folder, stamp)
      if (uncopied === undefined) await writeRecord(copy, [...(record?.sources ?? []), stamp])
    }
    if (uncopied !== undefined) release()
    return { shared: { ...shared, content: uncopied === undefined ? copy : folder }, uncopied, release }
  } catch (error) {
    release()
    throw error
  }
}

async function takeInThread(request: TakeRequest): Promise<TakenFiles> {
  const taken = await runThread<TakenInThread>(new URL('./take-files-thread.js', import.meta.url), request)
  if ('problem' in taken) throw new ModelError('INVALID_BUNDLE', taken.problem, { transient: taken.transient })
  return taken
}

async function expectUnchanged(folder: string, stamp: string): Promise<void> {
  if ((await stampOf(folder)) !== stamp)
    throw new ModelError('INVALID_BUNDLE', `${folder} changed while it was read`, { transient: true })
}

/** Keeps other processes from removing a copy; answers how to stop. */
function keepInUse(copy: string, clock: TakeOptions['clock'], now: () => number): () => void {
  let stop: () => void
  const touch = () => {
    const time = new Date(now())
    // A folder that is not writable is never cleaned either.
    utimes(copy, time, time).catch(() => undefined)
    stop = clock.after(touchedEvery, touch)
  }
  touch()
  return () => stop()
}

/** The record of a copy that is as it was when it was verified; undefined where there is none. Never rejects. */
async function readRecord(copy: string): Promise<CopyRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(join(copy, recordFile), 'utf8')) as CopyRecord
    return record.copy === (await stampOf(copy, fileNames)) ? record : undefined
  } catch {
    return undefined
  }
}

/** Never rejects: without a record, the next process verifies the copy. */
async function writeRecord(copy: string, sources: string[]): Promise<void> {
  try {
    const record: CopyRecord = { copy: await stampOf(copy, fileNames), sources: sources.slice(-mostSources) }
    await replaceFile(join(copy, recordFile), JSON.stringify(record))
  } catch {
    // The cache folder may be read-only.
  }
}

/** Removes the copies that no process uses any more, and those that were left unfinished. Never rejects. */
export async function removeUnusedCopies({ copies, now }: Omit<TakeOptions, 'clock'>): Promise<void> {
  if (copies === undefined) return
  for (const name of await readdir(copies).catch(() => [])) {
    const path = join(copies, name)
    const used = await stat(path).catch(() => undefined)
    if (used !== undefined && now() - used.mtimeMs > keptMs)
      await rm(path, { recursive: true, force: true }).catch(() => undefined)
  }
}
