import type { IndexedFile } from '../../schemas/models-folder.ts'
import type { GetObject, StoredObject } from '../stores/object-store.ts'
import { indexFile, type Listing, parseIndex } from './index-file.ts'
import { parseTables, tablesIndexFile } from './tables-index.ts'

/** An object that lists files of a source. */
export interface SourceIndex {
  /** Its address. */
  readonly name: string
  /**
   * Opens it; undefined if it still is what `tag`, which is given then, stands for. Rejects with an Error that names
   * it, an AbsentObject where the source seems to have none.
   */
  open(tag: string | undefined, signal: AbortSignal): Promise<StoredObject | undefined>
  /** Parses its content. Throws an Error whose message goes on after `name`. */
  parse(content: Buffer, tag: string | undefined): Listing
}

/**
 * Where models come from. A source only opens objects: how long it is waited for, how fast it must be, and how many
 * bytes it may send are for the reader to say (`Patience`).
 */
export interface SyncSource {
  /** Its address, without credentials. */
  readonly name: string
  readonly index: SourceIndex
  /** Lists the tables, where `index` doesn't; it may be absent. */
  readonly tables?: SourceIndex
  /** Opens a file of an index, such as `ads/7/manifest.json`. Rejects like an index. */
  open(path: string, file: IndexedFile, signal: AbortSignal): Promise<StoredObject>
}

/** A source that holds an `index.json` beside the models, and one of tables. */
export function createIndexedSource(name: string, get: GetObject): SyncSource {
  const indexAt = (path: string, parse: (text: string) => Listing): SourceIndex => ({
    name: `${name}/${path}`,
    open: (tag, signal) => get(path, tag, signal),
    parse: (content) => parse(content.toString('utf8')),
  })
  return {
    name,
    index: indexAt(indexFile, parseIndex),
    tables: indexAt(tablesIndexFile, parseTables),
    async open(path, _file, signal) {
      return (await get(path, undefined, signal))!
    },
  }
}
