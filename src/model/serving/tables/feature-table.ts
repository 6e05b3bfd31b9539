import { isText } from '../../../base/utf8.ts'
import type { DescribedRows } from '../../../schemas/feature-table.ts'
import { isSound, nextPlace, placesFor, slotAt } from '../../engines/catalogue/key-index.ts'
import { type Bytes, numbersOf } from './bytes.ts'
import { type ColumnFiles, type ColumnReader, columnProblem, columnReader, storedStrings } from './column-readers.ts'
import { hashOf, isAt, type StoredStrings, stringAt } from './string-pool.ts'

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
  /** By name. */
  readonly columns: ReadonlyMap<string, ColumnReader>
  /** The row with this key; −1 where there is none. */
  find(key: string): number
  /**
   * The rows with these keys, −1 for those that are not there. Faster than one after the other: the processor waits for
   * many places of memory at a time.
   */
  findAll(keys: readonly string[], rows: Int32Array): void
}

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
    return this.#search(key, hashOf(key))
  }

  findAll(keys: readonly string[], rows: Int32Array): void {
    if (hashes.length < keys.length) hashes = new Int32Array(2 * keys.length)
    const index = this.#index
    const mask = index.length / 2 - 1
    let read = 0
    for (let i = 0; i < keys.length; i++) hashes[i] = hashOf(keys[i]!)
    for (let i = 0; i < keys.length; i++) {
      const slot = index[(hashes[i]! & mask) * 2]!
      rows[i] = slot
    }
    for (let i = 0; i < keys.length; i++) read ^= this.#rows[Math.max(0, rows[i]! - 1) * this.#rowBytes]!
    lastRead[0] = read
    for (let i = 0; i < keys.length; i++) rows[i] = this.#search(keys[i]!, hashes[i]!)
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

  #search(key: string, hash: number): number {
    const index = this.#index
    const mask = index.length / 2 - 1
    // It ends where it began, at the latest: an index from a wrong file may have no empty place.
    for (let last = -1, place = nextPlace(index, hash, hash); place >= 0; place = nextPlace(index, hash, place + 1)) {
      const distance = (place - hash) & mask
      if (distance <= last) return -1
      last = distance
      const row = slotAt(index, place)
      if (this.#isAt(row, key)) return row
    }
    return -1
  }

  #isAt(row: number, key: string): boolean {
    const rows = this.#rows
    const start = row * this.#rowBytes
    const length = rows[start]!
    if (length === longKey) return isAt(this.#longKeys, this.#longNumber(start), key)
    const units = key.length
    // A string has no more units than bytes.
    if (units > length) return false
    for (let i = 0; i < units; i++) {
      const unit = key.charCodeAt(i)
      if (unit > 0x7f) return isText(key) && Buffer.from(key).equals(rows.subarray(start + 1, start + 1 + length))
      if (rows[start + 1 + i] !== unit) return false
    }
    return units === length
  }

  #longNumber(start: number): number {
    const rows = this.#rows
    return (rows[start + 1]! | (rows[start + 2]! << 8) | (rows[start + 3]! << 16) | (rows[start + 4]! << 24)) >>> 0
  }
}

/** Hashes of the keys of `findAll`, until its next call. */
let hashes = new Int32Array(0)

/** Keeps the compiler from leaving the reading out. */
const lastRead = new Int32Array(1)
