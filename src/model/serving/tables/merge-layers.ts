import { CellColumn } from './built-columns.ts'
import { type Bytes, createNumbers } from './bytes.ts'
import { type ColumnReader, cellOf, isEmpty } from './column-readers.ts'
import type { FeatureTable, TableFiles } from './feature-table.ts'
import type { Changes, Layer } from './layers.ts'
import { ListsColumn } from './lists-column.ts'
import { StringPool } from './string-pool.ts'
import { fileNames } from './table-folder.ts'
import { type BuiltRows, tableContents } from './write-table.ts'

/** In place of a layer: no value. */
const nowhere = -1

/**
 * The changes of layers in one, with all columns of the table. A later layer wins; a column that it lacks keeps its
 * value, but for rows that were removed before or are new, which have none.
 */
export function mergeLayers(base: FeatureTable, keyName: string, layers: readonly Layer[]): Omit<Changes, 'number'> {
  const tables = [base, ...layers.map(({ table }) => table)]
  const keys = new StringPool()
  const places = new Places(base.columns.size)
  const names = [...base.columns.keys()]
  for (const [i, { table, removed }] of layers.entries()) {
    const has = names.map((name) => table.columns.has(name))
    for (let row = 0; row < table.rows; row++) {
      const text = table.keyOf(row)
      const key = keys.add(text)
      if (key === places.count) places.add(base.find(text))
      if (removed[row] === 1) places.remove(key)
      else places.change(key, i + 1, row, has)
    }
  }
  const columns = names.map((name, column) => {
    const readers = tables.map((table) => table.columns.get(name))
    const built = builtColumn(name, column, readers)
    for (let key = 0; key < keys.count; key++) built.push(places.cellOf(key, column, readers) as never)
    return built
  })
  const { described, files } = inMemory({ keys, columns, rowOf: undefined }, keyName)
  for (const [column, described_] of described.columns.entries())
    if (described_.kind === 'number') {
      const readers = tables.flatMap((table) => table.columns.get(names[column]!) ?? [])
      described_.exact_text = readers.every((reader) => reader.kind !== 'number' || reader.exactText)
    }
  return { described, files, removed: shared([places.removed]) }
}

/** Where the values of keys are: a layer, and a row of it. */
class Places {
  readonly #columns: number
  #layers = new Int32Array(0)
  #rows = new Int32Array(0)
  #removed = new Uint8Array(2 ** 10)
  count = 0

  constructor(columns: number) {
    this.#columns = columns
    this.#grow(2 ** 10)
  }

  /** Per key, 1 where its row is removed. */
  get removed(): Uint8Array {
    return this.#removed.subarray(0, this.count)
  }

  /** Adds a key, which has this row in the table; −1: none. */
  add(row: number): void {
    if (this.count === this.#removed.length) this.#grow(2 * this.count)
    const start = this.count++ * this.#columns
    this.#layers.fill(row < 0 ? nowhere : 0, start, start + this.#columns)
    this.#rows.fill(row, start, start + this.#columns)
  }

  remove(key: number): void {
    this.#removed[key] = 1
    this.#layers.fill(nowhere, key * this.#columns, (key + 1) * this.#columns)
  }

  /** `has`: the columns of the layer. */
  change(key: number, layer: number, row: number, has: readonly boolean[]): void {
    this.#removed[key] = 0
    const start = key * this.#columns
    for (let column = 0; column < this.#columns; column++) {
      if (!has[column]) continue
      this.#layers[start + column] = layer
      this.#rows[start + column] = row
    }
  }

  cellOf(key: number, column: number, readers: readonly (ColumnReader | undefined)[]) {
    const place = key * this.#columns + column
    const layer = this.#layers[place]!
    return layer === nowhere ? null : cellOf(readers[layer]!, this.#rows[place]!)
  }

  #grow(keys: number): void {
    const [layers, rows, removed] = [this.#layers, this.#rows, this.#removed]
    this.#layers = new Int32Array(keys * this.#columns)
    this.#rows = new Int32Array(keys * this.#columns)
    this.#removed = new Uint8Array(keys)
    this.#layers.set(layers)
    this.#rows.set(rows)
    this.#removed.set(removed.subarray(0, Math.min(removed.length, keys)))
  }
}

/** An empty column for the values of others with its name. */
function builtColumn(name: string, index: number, readers: readonly (ColumnReader | undefined)[]) {
  const { kind } = readers.find((reader) => reader && !isEmpty(reader)) ?? { kind: 'string' }
  return kind === 'list' ? new ListsColumn(name) : new CellColumn(name, index, kind)
}

/** The files of a table in memory that threads share. */
export function inMemory(rows: BuiltRows, key: string): Pick<Changes, 'described' | 'files'> {
  const { described, contents } = tableContents({ rows, key })
  const [all, index, strings, lists] = fileNames.map((name) => shared(contents[name])) as [Bytes, Bytes, Bytes, Bytes]
  const files: TableFiles = { rows: all, index, strings, lists }
  return { described, files }
}

function shared(parts: Iterable<Uint8Array>): Bytes {
  // A part may be used again for the next one.
  const copies = Array.from(parts, (part) => part.slice())
  const length = copies.reduce((sum, part) => sum + part.length, 0)
  const bytes = createNumbers('uint8', length, new SharedArrayBuffer(length) as unknown as ArrayBuffer)
  let end = 0
  for (const part of copies) {
    bytes.set(part, end)
    end += part.length
  }
  return { buffer: bytes.buffer as unknown as SharedArrayBuffer, offset: 0, length }
}
