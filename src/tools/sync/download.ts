import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { makeFolder } from '../../base/files.ts'
import type { IndexedFile, IndexedFiles } from '../../schemas/models-folder.ts'
import { createPatience } from '../stores/patience.ts'
import type { SyncSource } from './source.ts'

/** Files that are copied at the same time. */
const streams = 4
const tries = 3

const defaultDelay = (tried: number) => 2 ** (tried - 1) * 1000 * (1 + Math.random() / 2)

export interface DownloadOptions {
  source: SyncSource
  signal: AbortSignal
  /** Receives the bytes of each chunk. */
  onBytes(bytes: number): void
  /** Milliseconds before the next try; default: a second, then two, each up to half as long again. */
  delay?: ((tried: number) => number) | undefined
  /** Longest silence of the source, ms; default: a minute. */
  silence?: number | undefined
}

/**
 * Copies `files`, paths below `where` at the source, into a folder that exists, and flushes them to the disk. Rejects
 * with an Error that names the file if one is missing, too short, too long, too slow or has another digest, after
 * several tries.
 */
export async function downloadFiles(
  where: string,
  files: IndexedFiles,
  folder: string,
  options: DownloadOptions,
): Promise<void> {
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  const waiting = Object.entries(files)
  for (const parent of new Set(waiting.map(([path]) => dirname(path)))) await makeFolder(join(folder, parent))
  const stream = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [path, file] = next
      await download(`${where}/${path}`, file, join(folder, path), { ...options, signal })
    }
  }
  const running = Array.from({ length: streams }, stream)
  try {
    await Promise.all(running)
  } catch (error) {
    // The others write into a folder that is about to go.
    failed.abort(error)
    await Promise.allSettled(running)
    throw error
  }
}

/** The same of one file. */
export async function download(
  path: string,
  file: IndexedFile,
  target: string,
  options: DownloadOptions,
): Promise<void> {
  const { signal, delay = defaultDelay } = options
  for (let tried = 1; ; tried++) {
    try {
      return await downloadOnce(path, file, target, options)
    } catch (error) {
      await rm(target, { force: true })
      const isLocal = (error as NodeJS.ErrnoException).path === target || (error as Error & { local?: true }).local
      if (tried === tries || isLocal || signal.aborted) throw error
      await wait(delay(tried), undefined, { signal })
    }
  }
}

async function downloadOnce(
  path: string,
  { bytes, sha256 }: IndexedFile,
  target: string,
  { source, signal, onBytes, silence }: DownloadOptions,
): Promise<void> {
  const name = `${source.name}/${path}`
  const file = await open(target, 'wx', 0o644)
  const patience = createPatience(name, signal, { silence })
  try {
    const { body } = await patience.open(source.open(path, { bytes, sha256 }, patience.signal))
    const hash = createHash('sha256')
    let received = 0
    for await (const chunk of patience.read(body)) {
      received += chunk.length
      if (received > bytes) throw new Error(`${name} is longer than the ${bytes} bytes of its index`)
      hash.update(chunk)
      await file.writeFile(chunk).catch(local)
      onBytes(chunk.length)
    }
    if (received < bytes) throw new Error(`${name} ends after ${received} of ${bytes} bytes`)
    const found = hash.digest('hex')
    if (found !== sha256) throw new Error(`${name} is damaged: its SHA-256 is ${found}, its index says ${sha256}`)
    await file.sync().catch(local)
  } finally {
    await file.close()
  }
}

/** A fault of this machine, such as a full disk, which no further try fixes. */
function local(error: Error): never {
  throw Object.assign(error, { local: true })
}
