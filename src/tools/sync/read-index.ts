import { reasonOf } from '../../base/errors.ts'
import type { SyncIndex } from '../../schemas/models-folder.ts'
import { largestIndex } from './index-file.ts'
import { createPatience, type PatienceOptions } from './patience.ts'
import { readAll, type SyncSource } from './source.ts'

/** The index of a source, and a tag that changes when the index does. */
export interface CurrentIndex {
  index: SyncIndex
  tag?: string | undefined
}

/**
 * Reads the index of a source; undefined if it still is what `tag` stands for. Rejects with an Error that names the
 * index if it can't be read, is too large or too slow, or is wrong.
 */
export async function readIndex(
  source: SyncSource,
  tag: string | undefined,
  signal: AbortSignal,
  options: PatienceOptions = {},
): Promise<CurrentIndex | undefined> {
  const patience = createPatience(source.indexName, signal, options)
  const found = await patience.open(source.openIndex(tag, patience.signal))
  if (found === undefined) return undefined
  const content = await readAll(source.indexName, patience.read(found.body), largestIndex)
  try {
    return { index: source.parseIndex(content, found.tag), tag: found.tag }
  } catch (cause) {
    throw new Error(`${source.indexName} ${reasonOf(cause)}`, { cause })
  }
}
