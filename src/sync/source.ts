import type { Readable } from 'node:stream'
import type { IndexedFile, SyncIndex } from '../schemas/sync-index.ts'
import { indexFile, largestIndex, parseIndex } from './index-file.ts'

/** Where models come from. */
export interface SyncSource {
  /** Its address, without credentials. */
  readonly name: string
  /**
   * What it holds, and a tag that changes when that does; undefined if it still is what `tag` stands for. Rejects with an
   * Error that names the address.
   */
  readIndex(
    tag: string | undefined,
    signal: AbortSignal,
  ): Promise<{ index: SyncIndex; tag?: string | undefined } | undefined>
  /** A file of the index, such as `ads/7/manifest.json`. Rejects like `readIndex`. */
  open(path: string, file: IndexedFile, signal: AbortSignal): Promise<Readable>
}

export interface StoredObject {
  body: Readable
  tag?: string | undefined
}

/** Reads an object by its path; undefined if it still is what `tag` stands for. Rejects with an Error that names the object. */
export type GetObject = (
  path: string,
  tag: string | undefined,
  signal: AbortSignal,
) => Promise<StoredObject | undefined>

/** A source that holds an `index.json` beside the models. */
export function createIndexedSource(name: string, get: GetObject): SyncSource {
  return {
    name,
    async readIndex(tag, signal) {
      const found = await get(indexFile, tag, signal)
      if (found === undefined) return undefined
      try {
        const text = (await readAll(found.body, largestIndex)).toString('utf8')
        return { index: parseIndex(text), tag: found.tag }
      } catch (cause) {
        throw new Error(`${name}/${indexFile} ${(cause as Error).message}`, { cause })
      }
    },
    async open(path, _file, signal) {
      const found = await get(path, undefined, signal)
      return found!.body
    },
  }
}

/** The bytes of a stream. Rejects with an Error where there are more than `most`. */
export async function readAll(body: Readable, most: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += (chunk as Buffer).length
    if (bytes > most) throw new Error(`is larger than ${most} bytes`)
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
