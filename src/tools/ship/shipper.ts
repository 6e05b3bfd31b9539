import { createHash } from 'node:crypto'
import { lstat, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { reasonOf } from '../../base/errors.ts'
import { type FileContent, openContent } from '../stores/content.ts'
import type { Content, ObjectHead, ObjectStore } from '../stores/object-store.ts'
import { createPatience, type Patience } from '../stores/patience.ts'
import { type FinishedFile, finishedFiles, stampOf } from './finished-files.ts'

/** Files that are sent at the same time. */
const streams = 4
const tries = 3
/** Files that fail one after the other, each after all its tries, before the others wait for the next pass. */
const mostFailures = 3

const day = 86_400_000

const defaultDelay = (tried: number) => 2 ** (tried - 1) * 1000 * (1 + Math.random() / 2)

export interface ShipOptions {
  /** The folder of the prediction log. */
  folder: string
  store: ObjectStore
  /** Age from which on files with records are removed once they are in the store, days; undefined: they stay. */
  removeDays: number | undefined
  /** ms since 1970 */
  now(): number
  /** Receives the bytes of each chunk that is sent. */
  onBytes(bytes: number): void
  /** A file is done. */
  onFile?(done: number, all: number): void
  /** Milliseconds before the next try; default: a second, then two, each up to half as long again. */
  delay?: ((tried: number) => number) | undefined
  /** Longest silence of the store, ms; default: a minute. */
  silence?: number | undefined
}

/** The outcome of one pass. */
export interface ShipPass {
  /** Paths of files that were sent, and of those that were removed from the folder. */
  sent: string[]
  removed: string[]
  /** Finished files that are in the store, those of `sent` included, and those that are not. */
  present: number
  waiting: number
  /** Why they are not, or could not be removed; one line each. */
  problems: string[]
}

/** A fault that no further try fixes: of this machine, or a file that differs from the one in the store. */
class LastingFault extends Error {}

interface Shipped extends Pick<Content, 'bytes' | 'sha256' | 'md5'> {
  stamp: string
}

/**
 * Copies the finished files of a prediction log into a store, under the same names. Which files are there, the store
 * alone knows: several may ship the same folder, and one that is killed leaves nothing behind that the next must know.
 */
export class Shipper {
  readonly #options: ShipOptions
  /** Files that this process has sent or found in the store, by their paths. */
  readonly #shipped = new Map<string, Shipped>()

  constructor(options: ShipOptions) {
    this.#options = options
  }

  /** Ships what the store lacks. Rejects with an Error if the folder can't be read. */
  async run(signal: AbortSignal): Promise<ShipPass> {
    const files = await finishedFiles(this.#options.folder)
    const listed = new Set(files.map(({ path }) => path))
    for (const path of this.#shipped.keys()) if (!listed.has(path)) this.#shipped.delete(path)
    const pass: ShipPass = { sent: [], removed: [], present: 0, waiting: 0, problems: [] }
    let failures = 0
    let done = 0
    const queue = files.values()
    const stream = async () => {
      for (const file of queue) {
        if (failures >= mostFailures) {
          pass.waiting++
          continue
        }
        try {
          await this.#handle(file, pass, signal)
          failures = 0
        } catch (error) {
          signal.throwIfAborted()
          if (!(error instanceof LastingFault)) failures++
          pass.problems.push(reasonOf(error))
        }
        this.#options.onFile?.(++done, files.length)
      }
    }
    // All end before this does: none may still write.
    const ended = await Promise.allSettled(Array.from({ length: streams }, stream))
    for (const outcome of ended) if (outcome.status === 'rejected') throw outcome.reason
    return pass
  }

  async #handle(file: FinishedFile, pass: ShipPass, signal: AbortSignal): Promise<void> {
    let outcome: 'sent' | 'present' | 'gone'
    try {
      outcome = await this.#ship(file, signal)
    } catch (error) {
      pass.waiting++
      throw error
    }
    if (outcome === 'gone') return
    pass.present++
    if (outcome === 'sent') pass.sent.push(file.path)
    if (await this.#removeOld(file, signal)) pass.removed.push(file.path)
  }

  /** Sees to it that the store has a file. `gone`: it was removed meanwhile. */
  async #ship(file: FinishedFile, signal: AbortSignal): Promise<'sent' | 'present' | 'gone'> {
    if (this.#shipped.get(file.path)?.stamp === file.stamp) return 'present'
    return this.#retry(
      signal,
      async (patience) => {
        const content = await this.#open(file, signal)
        if (content === undefined) return 'gone'
        try {
          const outcome = await this.#send(file, content, patience)
          const { bytes, sha256, md5 } = content
          this.#shipped.set(file.path, { stamp: file.stamp, bytes, sha256, md5 })
          return outcome
        } finally {
          await content.close()
        }
      },
      file,
    )
  }

  async #retry<T>(signal: AbortSignal, work: (patience: Patience) => Promise<T>, { path }: FinishedFile): Promise<T> {
    const { store, silence, delay = defaultDelay } = this.#options
    for (let tried = 1; ; tried++) {
      try {
        return await work(createPatience(`${store.name}/${path}`, signal, { silence }))
      } catch (error) {
        if (tried === tries || error instanceof LastingFault || signal.aborted) throw error
        await wait(delay(tried), undefined, { signal })
      }
    }
  }

  async #open({ path, digits }: FinishedFile, signal: AbortSignal): Promise<FileContent | undefined> {
    const file = join(this.#options.folder, path)
    let content: FileContent
    try {
      content = await openContent(file, signal)
    } catch (cause) {
      signal.throwIfAborted()
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw new LastingFault(`${file} can't be read: ${reasonOf(cause)}`, { cause })
    }
    if (digits === undefined || content.sha256.startsWith(digits)) return content
    await content.close()
    // A server may be writing it.
    throw new Error(`${file} is damaged: its SHA-256 is ${content.sha256}`)
  }

  async #send({ path }: FinishedFile, content: Content, patience: Patience): Promise<'sent' | 'present'> {
    const { store, onBytes } = this.#options
    let head = await patience.answer(store.head(path, patience.signal))
    if (head === undefined) {
      const put = (content: Content) => store.put(path, content, { ifAbsent: true }, patience.signal)
      if ((await patience.send(content, put, onBytes)) === 'stored') return 'sent'
      head = await patience.answer(store.head(path, patience.signal))
      if (head === undefined)
        throw new Error(`${store.name}/${path} exists, but can't be compared: is reading allowed?`)
    }
    await this.#expectSame(path, content, head, patience)
    return 'present'
  }

  /** Throws a LastingFault where the object differs from the file. */
  async #expectSame(
    path: string,
    { bytes, sha256, md5 }: Pick<Content, 'bytes' | 'sha256' | 'md5'>,
    head: ObjectHead,
    patience: Patience,
  ): Promise<void> {
    const { store, folder } = this.#options
    let isSame = head.bytes === bytes
    if (isSame && head.sha256 !== undefined) isSame = head.sha256 === sha256
    else if (isSame && head.md5 !== undefined) isSame = head.md5 === md5
    else if (isSame) isSame = (await this.#digestOf(path, patience)) === sha256
    if (!isSame) throw new LastingFault(`${store.name}/${path} exists with other content than ${join(folder, path)}`)
  }

  async #digestOf(path: string, patience: Patience): Promise<string> {
    const hash = createHash('sha256')
    const found = (await patience.open(this.#options.store.get(path, undefined, patience.signal)))!
    for await (const chunk of patience.read(found.body)) hash.update(chunk)
    return hash.digest('hex')
  }

  /** Removes a shipped file that is old enough, once the store shows that it has it. */
  async #removeOld(file: FinishedFile, signal: AbortSignal): Promise<boolean> {
    const { store, folder, removeDays, now } = this.#options
    const { path, digits, stamp, written } = file
    // Manifests stay: files that come later are read by them, too.
    if (removeDays === undefined || digits !== undefined || now() - written < removeDays * day) return false
    const shipped = this.#shipped.get(path)!
    await this.#retry(
      signal,
      async (patience) => {
        const head = await patience.answer(store.head(path, patience.signal))
        if (head === undefined) {
          this.#shipped.delete(path)
          throw new LastingFault(`${join(folder, path)} stays: ${store.name} does not show that it has it`)
        }
        await this.#expectSame(path, shipped, head, patience)
      },
      file,
    )
    const local = join(folder, path)
    try {
      // Another file may have taken its place.
      if (stampOf(await lstat(local)) !== stamp) return false
      await rm(local)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw new LastingFault(`${local} can't be removed: ${reasonOf(cause)}`, { cause })
    }
    this.#shipped.delete(path)
    return true
  }
}
