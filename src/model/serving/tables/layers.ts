import type { DescribedRows } from '../../../schemas/feature-table.ts'
import type { Bytes } from './bytes.ts'
import { type ColumnReader, isEmpty, type ListReader, noneOf } from './column-readers.ts'
import { FeatureTable, type Keys, type RowsByKey, type TableFiles } from './feature-table.ts'
import { keyBytesOf } from './key-bytes.ts'

/** Rows that replace those of a table, or are added to it, or removed: as threads pass them to each other. */
export interface Changes {
  /** Differs from that of other changes of the same table, if they are served. */
  number: number
  described: DescribedRows
  files: TableFiles
  /** A byte for each row: 1 where it is removed. */
  removed: Bytes
}

/** Changes that are open. */
export interface Layer {
  table: FeatureTable
  /** Per row, 1 where the row is removed. */
  removed: Uint8Array
}

export function layerOf({ described, files, removed }: Pick<Changes, 'described' | 'files' | 'removed'>): Layer {
  return {
    table: new FeatureTable(described, files),
    removed: new Uint8Array(removed.buffer as ArrayBuffer, removed.offset, removed.length),
  }
}

/** A table as its changes leave it. */
export function withChanges(table: FeatureTable, changes: Changes | undefined): RowsByKey {
  return changes ? new LayeredTable(table, layerOf(changes)) : table
}

/** A table, and behind its rows those of the changes by its deltas, which have all of its columns. */
class LayeredTable implements RowsByKey {
  readonly version: string | undefined
  readonly rows: number
  readonly columns: ReadonlyMap<string, ColumnReader>
  readonly #base: FeatureTable
  readonly #changes: FeatureTable
  readonly #removed: Uint8Array

  constructor(base: FeatureTable, { table: changes, removed }: Layer) {
    this.version = base.version
    this.rows = base.rows + changes.rows
    this.#base = base
    this.#changes = changes
    this.#removed = removed
    this.columns = new Map(
      [...base.columns].map(([name, column]) => [name, layered(column, changes.columns.get(name)!, base.rows)]),
    )
  }

  find(key: string): number {
    const changed = this.#changes.find(key)
    return changed < 0 ? this.#base.find(key) : this.#place(changed)
  }

  findAll(given: Keys, rows: Int32Array): void {
    const keys = 'bytes' in given ? given : keyBytesOf(given)
    this.#base.findAll(keys, rows)
    if (changedRows.length < keys.length) changedRows = new Int32Array(2 * keys.length)
    this.#changes.findAll(keys, changedRows)
    for (let i = 0; i < keys.length; i++) if (changedRows[i]! >= 0) rows[i] = this.#place(changedRows[i]!)
  }

  *keys(): Generator<string> {
    for (const key of this.#base.keys()) if (this.#changes.find(key) < 0) yield key
    for (const key of this.#changes.keys()) if (this.find(key) >= 0) yield key
  }

  #place(changed: number): number {
    return this.#removed[changed] === 1 ? -1 : this.#base.rows + changed
  }
}

/** Rows of changes for the keys of `findAll`, until its next call. */
let changedRows = new Int32Array(0)

/** Rows of one column, and behind these `rows` those of another. */
function layered(base: ColumnReader, changes: ColumnReader, rows: number): ColumnReader {
  const [first, second] = [isEmpty(base) ? noneOf(changes) : base, isEmpty(changes) ? noneOf(base) : changes]
  if (first.kind === 'number' && second.kind === 'number')
    return {
      kind: 'number',
      exactText: first.exactText && second.exactText,
      number: (row) => (row < rows ? first.number(row) : second.number(row - rows)),
    }
  if (first.kind === 'string' && second.kind === 'string')
    return {
      kind: 'string',
      ...layeredStrings(first, second),
      code(row) {
        if (row < rows) return first.code(row)
        const code = second.code(row - rows)
        return code === 0 ? 0 : code + first.strings
      },
    }
  if (first.kind === 'list' && second.kind === 'list') return layeredLists(first, second, rows)
  throw new Error('a column of changes is of another kind than the table’s')
}

interface Strings {
  strings: number
  text(code: number): string
}

/** Strings of one column, and behind them those of another. */
function layeredStrings(first: Strings, second: Strings): Strings {
  const { strings } = first
  return {
    strings: strings + second.strings,
    text: (code) => (code <= strings ? first.text(code) : second.text(code - strings)),
  }
}

function layeredLists(base: ListReader, changes: ListReader, rows: number): ListReader {
  const { total } = base
  return {
    kind: 'list',
    longest: Math.max(base.longest, changes.longest),
    total: total + changes.total,
    first: (row) => (row < rows ? base.first(row) : total + changes.first(row - rows)),
    count: (row) => (row < rows ? base.count(row) : changes.count(row - rows)),
    items: layeredItems(base, changes),
  }
}

function layeredItems(
  { items: first, total }: ListReader,
  { items: second, total: more }: ListReader,
): ListReader['items'] {
  if (more === 0) return first
  if (first.kind === 'string' && second.kind === 'string') {
    const { strings } = first
    const code = (place: number) => (place < total ? first.code(place) : second.code(place - total) + strings)
    return { kind: 'string', ...layeredStrings(first, second), code }
  }
  if (first.kind === 'number' && second.kind === 'number')
    return {
      kind: 'number',
      number: (place) => (place < total ? first.number(place) : second.number(place - total)),
    }
  if (total === 0) return second
  throw new Error('lists of changes are of another kind than the table’s')
}
