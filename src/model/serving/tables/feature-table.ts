import type { DescribedRows } from '../../../schemas/feature-table.ts'
import { isSound, nextPlace, placesFor, slotAt } from '../../engines/catalogue/key-index.ts'
import { type Bytes, numbersOf } from './bytes.ts'
import { type ColumnFiles, type ColumnReader, columnProblem, columnReader, storedStrings } from './column-readers.ts'
import { type KeyBytes, keyBytesOf } from './key-bytes.ts'
import { hashOfBytes, holds, type StoredStrings, stringAt } from './string-pool.ts'

/** The files of a table, mapped or read. */
export interface TableFiles extends ColumnFiles {
  /** The index of keys, and then the long ones: uint32 [long + 1], and their bytes. */
  index: Bytes
}

/** In place of a key's length: its number among the long ones follows, uint32, little-endian. */
export const longKey = 255

/** Most keys that are examples, and the length of the longest. */
const mostFirst = 3
const longestFirst = 64

/** Rows of features by key. */
export interface RowsByKey {
  /** The version that it is of, if it has one. */
  readonly version: string | undefined
  /** Number of rows, those that changes replaced or removed included. */
  readonly rows: number
  /** By name. */
  readonly columns: ReadonlyMap<string, ColumnReader>
  /** The row with this key; −1 where there is none. */
  find(key: string): number
  /**
   * The rows with these keys, −1 for those that are not there. Faster than one after the other: the processor waits for
   * many places of memory at a time.
   */
  findAll(keys: Keys, rows: Int32Array): void
  /** All keys that it has. */
  keys(): Iterable<string>
}

/** Keys as strings, or as their bytes. */
export type Keys = readonly string[] | KeyBytes

/**
 * Rows of features by key, as files hold them. Each row begins with its key, a byte for the length and its UTF-8 bytes:
 * so a key is compared where its features are read anyway.
 */
export class FeatureTable implements RowsByKey {
  readonly version: string | undefined
  /** Number of rows. */
  readonly rows: number
  /** Size of its files. */
  readonly bytes: number
  readonly columns: ReadonlyMap<string, ColumnReader>
  readonly #rows: Uint8Array
  readonly #rowBytes: number
  readonly #index: Int32Array
  readonly #longKeys: StoredStrings
  #firstKeys: string[] | undefined

  /** Throws RangeError where a file is too short, or a place is not in a row. */
  constructor(
    { version, rows, key, row_bytes: rowBytes, columns }: DescribedRows & { version?: string },
    files: TableFiles,
  ) {
    this.version = version
    this.rows = rows
    this.bytes = Object.values(files as unknown as Record<string, Bytes>).reduce((sum, { length }) => sum + length, 0)
    this.#rowBytes = rowBytes
    this.#rows = numbersOf(files.rows, 'uint8', 0, rows * rowBytes)
    const places = 2 * placesFor(rows)
    this.#index = numbersOf(files.index, 'int32', 0, places)
    const offsets = places * 4
    this.#longKeys = storedStrings(files.index, key.long, offsets, offsets + (key.long + 1) * 4)
    this.columns = new Map(columns.map((column) => [column.name, columnReader(column, { key, rowBytes }, files)]))
  }

  find(key: string): number {
    const keys = keyBytesOf([key])
    return this.#search(keys, 0, hashAt(keys, 0))
  }

  findAll(given: Keys, rows: Int32Array): void {
    const keys = 'bytes' in given ? given : keyBytesOf(given)
    const { length } = keys
    if (hashes.length < length) [hashes, places] = [new Int32Array(2 * length), new Int32Array(2 * length)]
    // Loops that only read, without a branch, wait for many places of memory at a time.
    const index = this.#index
    const mask = index.length / 2 - 1
    let read = 0
    for (let i = 0; i < length; i++) hashes[i] = hashAt(keys, i)
    for (let i = 0; i < length; i++) read ^= index[(hashes[i]! & mask) * 2]!
    for (let i = 0; i < length; i++) {
      const place = nextPlace(index, hashes[i]!, hashes[i]!)
      places[i] = place
      rows[i] = place < 0 ? -1 : slotAt(index, place)
    }
    // A row may lie in two lines of the processor's cache.
    const last = this.#rowBytes - 1
    for (let i = 0; i < length; i++) {
      const start = Math.max(0, rows[i]!) * this.#rowBytes
      read ^= this.#rows[start]! ^ this.#rows[start + last]!
    }
    lastRead[0] = read
    const { bytes, starts, ends } = keys
    for (let i = 0; i < length; i++) {
      const row = rows[i]!
      if (row >= 0 && !this.#isAt(row, bytes, starts[i]!, ends[i]!))
        rows[i] = this.#search(keys, i, hashes[i]!, places[i]! + 1)
    }
  }

  *keys(): Generator<string> {
    for (let row = 0; row < this.rows; row++) yield this.keyOf(row)
  }

  keyOf(row: number): string {
    const start = row * this.#rowBytes
    const length = this.#rows[start]!
    if (length === longKey) return stringAt(this.#longKeys, this.#longNumber(start))
    const { buffer, byteOffset, byteLength } = this.#rows.subarray(start + 1, start + 1 + length)
    return Buffer.from(buffer, byteOffset, byteLength).toString()
  }

  /** The keys of its first rows, but for long ones, as examples. */
  get firstKeys(): string[] {
    this.#firstKeys ??= Array.from({ length: Math.min(mostFirst, this.rows) }, (_, row) => this.keyOf(row)).filter(
      ({ length }) => length <= longestFirst,
    )
    return this.#firstKeys
  }

  /** A contradiction in its content, if there is one. Reads all of it. */
  problem(): string | undefined {
    if (!isSound(this.#index, this.rows)) return 'has an index of other rows than it has'
    for (let row = 0; row < this.rows; row++)
      if (this.find(this.keyOf(row)) !== row) return `has a row ${row} that is not found by its key`
    for (const [name, column] of this.columns) {
      const problem = columnProblem(column, this.rows)
      if (problem !== undefined) return `column ${JSON.stringify(name)} ${problem}`
    }
    return undefined
  }

  /** The row with a key, searched for from a place of the index on. */
  #search({ bytes, starts, ends }: KeyBytes, key: number, hash: number, from = hash): number {
    const [start, end] = [starts[key]!, ends[key]!]
    const index = this.#index
    const mask = index.length / 2 - 1
    // It ends where it began, at the latest: an index from a wrong file may have no empty place.
    for (let last = -1, at = nextPlace(index, hash, from); at >= 0; at = nextPlace(index, hash, at + 1)) {
      const distance = (at - hash) & mask
      if (distance <= last) return -1
      last = distance
      const row = slotAt(index, at)
      if (this.#isAt(row, bytes, start, end)) return row
    }
    return -1
  }

  #isAt(row: number, key: Uint8Array, start: number, end: number): boolean {
    const rows = this.#rows
    const at = row * this.#rowBytes
    const length = rows[at]!
    if (length === longKey) return holds(this.#longKeys, this.#longNumber(at), key, start, end)
    // A key without bytes ends before it begins.
    if (length !== end - start) return false
    for (let i = 0; i < length; i++) if (rows[at + 1 + i] !== key[start + i]) return false
    return true
  }

  #longNumber(start: number): number {
    const rows = this.#rows
    return (rows[start + 1]! | (rows[start + 2]! << 8) | (rows[start + 3]! << 16) | (rows[start + 4]! << 24)) >>> 0
  }
}

const hashAt = ({ bytes, starts, ends }: KeyBytes, place: number): number =>
  hashOfBytes(bytes, starts[place]!, ends[place]!)

/** Hashes of the keys of `findAll`, and the first places of the index that have them, until its next call. */
let [hashes, places] = [new Int32Array(0), new Int32Array(0)]

/** Keeps the compiler from leaving the reading out. */
const lastRead = new Int32Array(1)
