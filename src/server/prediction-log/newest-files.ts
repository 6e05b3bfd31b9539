import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { LogFile, LogFileList } from '../../schemas/prediction-log-status.ts'

/** Files that are listed. */
const mostFiles = 20
/** Names that are looked at, so that a folder of any size costs a bounded time. */
const mostNames = 20_000
/** Names that are read together. */
const namesRead = 128
/** How long a list is used again, ms. */
const freshFor = 5000
/** Longest wait for a folder, whose file server may be away, ms. */
const longestWait = 1000

/** Names begin with the time of their file. */
const fileName = /^\d{8}T\d{9}Z-.+\.(?:jsonl|parquet)(?:\.open)?$/
const open = '.open'

export interface NewestFilesOptions {
  folder: string
  clock: Pick<Clock, 'now' | 'after'>
  /** Names that are looked at. */
  most?: number
}

/** Has the newest files of a log listed, once for all that ask within some seconds. */
export function createNewestFiles({ folder, clock, most = mostNames }: NewestFilesOptions): () => Promise<LogFileList> {
  let last: { at: number; list: LogFileList } = { at: Number.NEGATIVE_INFINITY, list: { newest: [] } }
  let listing: Promise<LogFileList> | undefined

  async function list(): Promise<LogFileList> {
    const found = await newestFiles(folder, most)
    last = { at: clock.now(), list: found }
    return found
  }

  return async () => {
    if (clock.now() - last.at < freshFor) return last.list
    // A folder that does not answer keeps one thread of the pool, however many ask.
    listing ??= list().finally(() => {
      listing = undefined
    })
    let cancel: () => void = () => undefined
    const late = new Promise<LogFileList>((resolve) => {
      cancel = clock.after(longestWait, () => resolve({ ...last.list, missing: 'slow' }))
    })
    return Promise.race([listing, late]).finally(cancel)
  }
}

interface Found {
  /** Folders from that of the log on. */
  below: string[]
  name: string
}

async function newestFiles(folder: string, most: number): Promise<LogFileList> {
  const newest: Found[] = []
  let names = 0

  async function look(below: string[]): Promise<void> {
    const folders: string[] = []
    try {
      for await (const entry of await opendir(join(folder, ...below), { bufferSize: namesRead })) {
        if (names++ >= most) return
        if (entry.isDirectory()) folders.push(entry.name)
        else if (entry.isFile() && fileName.test(entry.name)) keep(newest, { below, name: entry.name })
      }
    } catch {
      // It isn't there, as before the first record, or can't be read: its writer says why.
    }
    // `<model>/<version>/<file>`
    if (below.length === 2) return
    for (const name of folders) if (names <= most) await look([...below, name])
  }

  await look([])
  const described = await Promise.all(newest.map((file) => describe(folder, file)))
  return {
    newest: described.filter((file) => file !== undefined),
    ...(names > most && { missing: 'too_many' as const }),
  }
}

/** Puts a file into its place among the newest ones, if it is one of them. */
function keep(newest: Found[], file: Found): void {
  const place = newest.findIndex(({ name }) => name < file.name)
  if (place >= 0) newest.splice(place, 0, file)
  else if (newest.length < mostFiles) newest.push(file)
  if (newest.length > mostFiles) newest.pop()
}

/** Undefined where it has been removed meanwhile. */
async function describe(folder: string, { below, name }: Found): Promise<LogFile | undefined> {
  const [model, version] = below
  const path = join(folder, ...below, name)
  const isOpen = name.endsWith(open)
  const finished = isOpen ? name.slice(0, -open.length) : name
  const sizeOf = (path: string) => stat(path).catch(() => undefined)
  let size = await sizeOf(path)
  const isRenamed = isOpen && size === undefined
  if (isRenamed) size = await sizeOf(path.slice(0, -open.length))
  if (size === undefined) return undefined
  return {
    ...(version !== undefined && { model, version }),
    name: finished,
    bytes: size.size,
    written_at: size.mtime.toISOString(),
    open: isOpen && !isRenamed,
  }
}
