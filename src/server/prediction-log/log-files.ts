import {
  closeSync,
  type Dirent,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { isCopy } from '../../prediction-log/copies.ts'
import { instanceName, isLeftTo, longestSilence } from './file-owner.ts'

/*
 * The files of a prediction log: `<model>/<version>/<time>-<instance>-<process>.jsonl`, with `.open` behind it until
 * the file is complete. A process that dies leaves whole lines, but for the last one.
 */

export interface LogFilesOptions {
  folder: string
  instance: string
  fileBytes: number
  fileSeconds: number
  maxBytes: number
  maxDays: number
  /** ms since 1970 */
  now(): number
}

interface OpenFile {
  folder: string
  /** Without `.open`. */
  path: string
  handle: number
  inode: number
  bytes: number
  begun: number
}

/** Longest time between two removals of the oldest files, ms. */
const pruneInterval = 60_000
const open = '.open'
/** Files may have been converted: see `src/prediction-log/parquet/convert-file.ts`. */
const finished = /^\d{8}T\d{9}Z-.+-\d+(?:-\d+)?\.(?:jsonl|parquet)$/

export class LogFiles {
  readonly #options: LogFilesOptions
  readonly #files = new Map<string, OpenFile>()
  /** Bytes of all finished files. */
  disk = 0
  /** Files that were finished. */
  finished = 0
  /** The file that lies beside those of a version. */
  readonly #beside = new Map<string, { name: string; bytes: Uint8Array }>()
  /** A file has been finished since the oldest ones were removed. */
  #grown = false
  #pruned = Number.NEGATIVE_INFINITY

  constructor(options: LogFilesOptions) {
    this.#options = { ...options, instance: instanceName(options.instance) }
  }

  /** Appends lines to the file of a version. Throws, with the file as it was, where the disk takes them not whole. */
  append(version: string, lines: string): void {
    const file = this.#fileOf(version)
    const bytes = Buffer.from(lines)
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(file.handle, bytes, done)
      file.bytes += bytes.length
    } catch (error) {
      this.#abandon(version, file)
      throw error
    }
    if (file.bytes >= this.#options.fileBytes) this.#finish(version, file)
  }

  /** Keeps a file beside those of a version, also where its folder is made again. */
  accompany(version: string, name: string, bytes: Uint8Array): void {
    this.#beside.set(version, { name, bytes })
    this.#putBeside(version)
  }

  /** Ends files that are old enough, and those that are gone from their folders. To be called about once a second. */
  look(): void {
    const { fileSeconds, now } = this.#options
    for (const [version, file] of this.#files) {
      const isThere = inodeOf(file.path + open) === file.inode
      if (!isThere) {
        closeSync(file.handle)
        this.#files.delete(version)
      } else if (Math.abs(now() - file.begun) >= fileSeconds * 1000) this.#finish(version, file)
    }
    // Without requests files still come of age, and they become smaller where they are converted.
    if (this.#grown || Math.abs(now() - this.#pruned) >= pruneInterval) this.prune()
  }

  close(): void {
    for (const [version, file] of this.#files)
      try {
        this.#finish(version, file)
      } catch {
        // It stays open: the next process ends it, where its folder is still there.
      }
    this.prune()
  }

  /** Ends files that processes have left behind when they died. */
  recover(): void {
    const { folder, instance, fileSeconds, now } = this.#options
    const silence = Math.max(longestSilence, 2000 * fileSeconds)
    for (const path of filesBelow(folder)) {
      if (!path.endsWith(`.jsonl${open}`)) continue
      // Another process may end it at this moment, and one that can't be ended is no reason to record nothing.
      attempt(() => {
        if (!isLeftTo({ instance, now: now(), silence }, path, statSync(path).mtimeMs)) return
        const whole = wholeLines(path)
        if (whole === 0) rmSync(path)
        else {
          truncateSync(path, whole)
          renameSync(path, path.slice(0, -open.length))
          this.finished++
        }
      })
    }
  }

  /** Removes the oldest finished files beyond the bounds, and copies that were left behind. */
  prune(): void {
    const { folder, maxBytes, maxDays, now } = this.#options
    const paths = filesBelow(folder)
    for (const path of paths)
      if (isCopy(nameOf(path))) attempt(() => now() - statSync(path).mtimeMs >= longestSilence && rmSync(path))
    const files = paths
      .filter((path) => finished.test(nameOf(path)))
      .flatMap((path) => {
        const stat = statSync(path, { throwIfNoEntry: false })
        return stat === undefined ? [] : [{ path, bytes: stat.size, written: stat.mtimeMs }]
      })
      .sort((a, b) => (nameOf(a.path) < nameOf(b.path) ? -1 : 1))
    let bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    for (const file of files) {
      if (bytes <= maxBytes && now() - file.written <= maxDays * 86_400_000) continue
      if (attempt(() => rmSync(file.path, { force: true }))) bytes -= file.bytes
    }
    this.disk = bytes
    this.#grown = false
    this.#pruned = now()
  }

  #fileOf(version: string): OpenFile {
    const known = this.#files.get(version)
    if (known !== undefined) return known
    const { folder: root, instance, now } = this.#options
    const folder = join(root, version)
    this.#putBeside(version)
    const begun = now()
    const time = new Date(begun).toISOString().replace(/[-:.]/g, '')
    for (let again = 0; ; again++) {
      const path = join(folder, `${time}-${instance}-${process.pid}${again === 0 ? '' : `-${again}`}.jsonl`)
      // The clock may have gone back to the time of a file that has been converted since.
      const taken = [path, path + open, path.replace(/jsonl$/, 'parquet')]
      if (taken.some((name) => statSync(name, { throwIfNoEntry: false }))) continue
      const handle = openSync(path + open, 'ax', 0o640)
      const file = { folder, path, handle, inode: fstatSync(handle).ino, bytes: 0, begun }
      this.#files.set(version, file)
      return file
    }
  }

  #putBeside(version: string): void {
    const folder = join(this.#options.folder, version)
    mkdirSync(folder, { recursive: true })
    const beside = this.#beside.get(version)
    if (beside === undefined) return
    const path = join(folder, beside.name)
    // A full disk leaves a part of it.
    if (statSync(path, { throwIfNoEntry: false })?.size !== beside.bytes.length) writeFileSync(path, beside.bytes)
  }

  /** Ends a file that takes no more, with its whole lines. */
  #abandon(version: string, file: OpenFile): void {
    this.#files.delete(version)
    const isWhole = attempt(() => ftruncateSync(file.handle, file.bytes))
    closeSync(file.handle)
    const path = file.path + open
    // One that isn't whole, or gone, is left to the next process.
    if (!isWhole || inodeOf(path) !== file.inode) return
    if (file.bytes === 0) attempt(() => rmSync(path))
    else attempt(() => this.#name(file.path))
  }

  #finish(version: string, { path, handle }: OpenFile): void {
    this.#files.delete(version)
    closeSync(handle)
    this.#name(path)
  }

  #name(path: string): void {
    renameSync(path + open, path)
    this.#grown = true
    this.finished++
  }
}

/** Undefined where there is no such file. */
function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino
  } catch {
    return undefined
  }
}

const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1)

/** Whether some work on the disk could be done. */
function attempt(work: () => unknown): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}

/** Bytes of a file up to the end of its last whole line. */
function wholeLines(path: string): number {
  const handle = openSync(path, 'r')
  try {
    const part = Buffer.alloc(1 << 16)
    for (let end = fstatSync(handle).size; end > 0; end -= part.length) {
      const begin = Math.max(0, end - part.length)
      const read = readSync(handle, part, 0, end - begin, begin)
      const last = part.subarray(0, read).lastIndexOf(0x0a)
      if (last >= 0) return begin + last + 1
    }
    return 0
  } finally {
    closeSync(handle)
  }
}

/** Paths of the files of a log, `<folder>/<model>/<version>/<file>`. Folders that can't be read have none. */
function filesBelow(folder: string, depth = 2): string[] {
  let entries: Dirent[] = []
  attempt(() => {
    entries = readdirSync(folder, { withFileTypes: true })
  })
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isFile()) return [path]
    return entry.isDirectory() && depth > 0 ? filesBelow(path, depth - 1) : []
  })
}
