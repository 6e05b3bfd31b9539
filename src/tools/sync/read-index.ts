import { reasonOf } from '../../base/errors.ts'
import { AbsentObject, readAll } from '../stores/object-store.ts'
import { createPatience, type PatienceOptions } from '../stores/patience.ts'
import { type Listing, largestIndex } from './index-file.ts'
import type { SourceIndex, SyncSource } from './source.ts'

/** A listing, and a tag that changes when it does. */
interface Tagged {
  listing: Listing
  tag: string | undefined
}

/** The listing of a source, and what it was made of. */
export interface CurrentIndex {
  listing: Listing
  index: Tagged
  tables: Tagged | undefined
}

/**
 * Reads the index of a source, and that of its tables; `former`: the result of the call before, whose parts stand in
 * for what is still the same. Rejects with an Error that names an index that can't be read, is too large or too slow,
 * or is wrong.
 */
export async function readIndex(
  source: SyncSource,
  former: CurrentIndex | undefined,
  signal: AbortSignal,
  options: PatienceOptions = {},
): Promise<CurrentIndex> {
  const index = await readOne(source.index, former?.index, signal, options)
  // After the models: tables that these need are published before them.
  const tables = source.tables && (await readTables(source.tables, former?.tables, signal, options))
  if (index === former?.index && tables === former?.tables) return former
  const listing = tables && { models: { ...index.listing.models, ...tables.listing.models }, listsTables: true }
  return { listing: listing ?? index.listing, index, tables }
}

/** Undefined where the source has no index of tables. */
async function readTables(...args: Parameters<typeof readOne>): Promise<Tagged | undefined> {
  try {
    return await readOne(...args)
  } catch (error) {
    if (error instanceof AbsentObject) return undefined
    throw error
  }
}

async function readOne(
  index: SourceIndex,
  former: Tagged | undefined,
  signal: AbortSignal,
  options: PatienceOptions,
): Promise<Tagged> {
  const { name } = index
  const patience = createPatience(name, signal, options)
  const found = await patience.open(index.open(former?.tag, patience.signal))
  if (found === undefined) return former!
  const content = await readAll(name, patience.read(found.body), largestIndex)
  try {
    return { listing: index.parse(content, found.tag), tag: found.tag }
  } catch (cause) {
    throw new Error(`${name} ${reasonOf(cause)}`, { cause })
  }
}
