import type { Readable } from 'node:stream'
import { excerptOf } from '../../base/address-credentials.ts'
import type { IndexedFile, SyncIndex } from '../../schemas/models-folder.ts'
import { indexFile, parseIndex } from './index-file.ts'

/** An object that is open for reading. */
export interface StoredObject {
  body: Readable
  /** Changes when the object does. */
  tag?: string | undefined
}

/**
 * Where models come from. A source only opens objects: how long it is waited for, how fast it must be, and how many
 * bytes it may send are for the reader to say (`Patience`).
 */
export interface SyncSource {
  /** Its address, without credentials. */
  readonly name: string
  /** The address of what lists its files. */
  readonly indexName: string
  /**
   * Opens that; undefined if it still is what `tag`, which is given then, stands for. Rejects with an Error that names
   * it.
   */
  openIndex(tag: string | undefined, signal: AbortSignal): Promise<StoredObject | undefined>
  /** Parses what that lists. Throws an Error whose message goes on after `indexName`. */
  parseIndex(content: Buffer, tag: string | undefined): SyncIndex
  /** Opens a file of the index, such as `ads/7/manifest.json`. Rejects like `openIndex`. */
  open(path: string, file: IndexedFile, signal: AbortSignal): Promise<StoredObject>
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

/** A source that holds an `index.json` beside the models. */
export function createIndexedSource(name: string, get: GetObject): SyncSource {
  return {
    name,
    indexName: `${name}/${indexFile}`,
    openIndex: (tag, signal) => get(indexFile, tag, signal),
    parseIndex: (content) => parseIndex(content.toString('utf8')),
    async open(path, _file, signal) {
      return (await get(path, undefined, signal))!
    },
  }
}

/** Characters of a reason that a message has at most: a source may send anything. */
const longestReason = 500

/** A fault of a source, as one line that names the object and has no credentials. */
export function sourceError(name: string, error: unknown): Error {
  // `fetch failed` and `terminated` say nothing; what they failed of does.
  const { cause } = error as Error
  const { code, message } = (cause instanceof Error ? cause : error) as NodeJS.ErrnoException
  const reason = (message || code || String(error)).replaceAll(/\s+/g, ' ')
  return new Error(`${name}: ${excerptOf(reason, longestReason)}`, { cause: error })
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
