import type { Readable } from 'node:stream'
import { excerptOf } from '../../base/address-credentials.ts'

/*
 * Places where files are: buckets and folders. Their names have no credentials, and paths in them use slashes.
 */

/** An object that is open for reading. */
export interface StoredObject {
  body: Readable
  /** Changes when the object does. */
  tag?: string | undefined
}

/**
 * Opens an object by its path; undefined if it still is what `tag`, which is given then, stands for. Rejects with an
 * Error that names the object.
 */
export type GetObject = (
  path: string,
  tag: string | undefined,
  signal: AbortSignal,
) => Promise<StoredObject | undefined>

/** An object as a store describes it, without its content. */
export interface ObjectHead {
  bytes: number
  /** Changes when the object does. */
  tag: string
  /** Digests of its content as hexadecimal numbers, where the store knows them. */
  sha256?: string | undefined
  md5?: string | undefined
}

/** Bytes to put into a store, which can be read several times. */
export interface Content {
  readonly bytes: number
  /** Digests as hexadecimal numbers. */
  readonly sha256: string
  readonly md5: string
  read(): Readable
}

/** When an object may be put: where there is none, or where it still has this tag; undefined: always. */
export type PutCondition = { ifAbsent: true } | { ifTag: string } | undefined

/**
 * A bucket or a folder. It only opens and sends objects: how long it is waited for, how fast it must be, and how many
 * bytes it may send are for its user to say (`Patience`). Everything rejects with an Error that names the object.
 */
export interface ObjectStore {
  /** Its address, without credentials. */
  readonly name: string
  /** Rejects with an AbsentObject where there seems to be none. */
  readonly get: GetObject
  /** Undefined where there seems to be no such object: `put` with `ifAbsent` knows for certain. */
  head(path: string, signal: AbortSignal): Promise<ObjectHead | undefined>
  /**
   * Puts a whole object in one step: nobody sees a part of it, also where this process is killed. `conflict`: the
   * condition does not hold, and nothing has changed. Where an answer was lost, the next try may find the object that
   * this one has put.
   */
  put(path: string, content: Content, condition: PutCondition, signal: AbortSignal): Promise<'stored' | 'conflict'>
}

/** An object of a list. */
export interface ListedObject {
  path: string
  bytes: number
}

/** A store that says what it has. */
export interface Bucket extends ObjectStore {
  /**
   * Some of its objects, in the order of their paths; `next` continues the list, undefined at its end. Rejects with an
   * Error that names the bucket.
   */
  list(next: string | undefined, signal: AbortSignal): Promise<{ objects: ListedObject[]; next: string | undefined }>
}

/** A store has no such object, or does not say: many answer 403 to those who may not list what there is. */
export class AbsentObject extends Error {
  /** Whether the store has said that it has none. */
  readonly isCertain: boolean

  constructor(message: string, { cause, isCertain = true }: { cause?: unknown; isCertain?: boolean }) {
    super(message, { cause })
    this.isCertain = isCertain
  }
}

/** Statuses of HTTP that stand for that. */
const absence = [403, 404, 410]

/** Characters of a reason that a message has at most: a store may send anything. */
const longestReason = 500

/**
 * A fault of a store, as one line that names the object and has no credentials; `status`: that of its answer by HTTP.
 */
export function storeError(name: string, error: unknown, status = 0): Error {
  // `fetch failed` and `terminated` say nothing; what they failed of does.
  const { cause } = error as Error
  const { code, message } = (cause instanceof Error ? cause : error) as NodeJS.ErrnoException
  const reason = (message || code || String(error)).replaceAll(/\s+/g, ' ')
  const explained = `${name}: ${excerptOf(reason, longestReason)}`
  if (!absence.includes(status)) return new Error(explained, { cause: error })
  return new AbsentObject(explained, { cause: error, isCertain: status !== 403 })
}

/** All bytes of a body; `name` names it. Rejects with an Error where there are more than `most`. */
export async function readAll(name: string, body: AsyncIterable<Buffer>, most: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > most) throw new Error(`${name} is larger than ${most} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
