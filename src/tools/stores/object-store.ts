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

/**
 * A bucket or a folder. It only opens objects: how long it is waited for, how fast it must be, and how many bytes it
 * may send are for its user to say (`Patience`).
 */
export interface ObjectStore {
  /** Its address, without credentials. */
  readonly name: string
  /** Rejects with an AbsentObject where there seems to be none. */
  readonly get: GetObject
}

/** A store has no such object, or does not say: many answer 403 to those who may not list what there is. */
export class AbsentObject extends Error {}

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
  const Fault = absence.includes(status) ? AbsentObject : Error
  return new Fault(`${name}: ${excerptOf(reason, longestReason)}`, { cause: error })
}
