import { murmur3, murmur3OfBytes } from '../../../base/hash.ts'
import { isText, mostBytesPerUnit, writeUtf8 } from '../../../base/utf8.ts'
import { emptyIndex, grown, insert, nextPlace, slotAt } from '../../engines/catalogue/key-index.ts'

/*
 * Different strings, numbered from 0 in the order in which they came, as UTF-8 bytes one behind the other, and an index
 * by their hashes: neither millions of strings nor a Map of them, which holds 16 million at most.
 */

/** Strings as a file holds them. */
export interface StoredStrings {
  /** uint32 [strings + 1]: where each begins, and the end of the last. */
  offsets: Uint32Array
  bytes: Uint8Array
}

/** Most bytes of all strings of a pool. */
const mostBytes = 2 ** 32 - 1

/** The hash by which strings are found. */
const hashOf = (value: string): number => murmur3(value, 0) | 0

/** Whether the string with this number has these bytes. */
export function holds(
  { offsets, bytes: own }: StoredStrings,
  number: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const at = offsets[number]!
  if (offsets[number + 1]! - at !== end - start) return false
  for (let i = start; i < end; i++) if (own[at + i - start] !== bytes[i]) return false
  return true
}

/** Whether a string is that of a pool with this number. */
function isAt({ offsets, bytes }: StoredStrings, number: number, value: string): boolean {
  const [start, end] = [offsets[number]!, offsets[number + 1]!]
  const { length } = value
  // Short strings are mostly ASCII.
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i)
    if (unit > 0x7f) return isEqual(bytes.subarray(start, end), value)
    if (i >= end - start || bytes[start + i] !== unit) return false
  }
  return end - start === length
}

function isEqual(bytes: Uint8Array, value: string): boolean {
  return isText(value) && Buffer.compare(bytes, Buffer.from(value)) === 0
}

/** The number of a string, found by an index of `hashOf`; −1 where the pool has none. */
function find(strings: StoredStrings, index: Int32Array, value: string, hash: number): number {
  for (let place = nextPlace(index, hash, hash); place >= 0; place = nextPlace(index, hash, place + 1)) {
    const number = slotAt(index, place)
    if (isAt(strings, number, value)) return number
  }
  return -1
}

export function stringAt({ offsets, bytes }: StoredStrings, number: number): string {
  const part = bytes.subarray(offsets[number]!, offsets[number + 1]!)
  return Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString()
}

/** Texts as UTF-8, by number, and the number of each row's; −1: it has none. */
export interface RowTexts {
  bytes: Uint8Array
  starts: Int32Array
  ends: Int32Array
  numberOf(row: number): number
  /** Hashes of the texts of rows, where they have been computed. */
  hashes?: Int32Array
}

/** The same of its bytes. */
export const hashOfBytes = (bytes: Uint8Array, start: number, end: number): number =>
  murmur3OfBytes(bytes, start, end, 0) | 0

/** Keeps the compiler from leaving reads out. */
const lastRead = new Int32Array(1)

/** A pool that grows. */
export class StringPool implements StoredStrings {
  offsets = new Uint32Array(2 ** 10)
  bytes = new Uint8Array(2 ** 14)
  #index = emptyIndex(0)
  #count = 0
  #hashes = new Int32Array(0)

  get count(): number {
    return this.#count
  }

  /** See key-index.ts. */
  get index(): Int32Array {
    return this.#index
  }

  /** Its strings in arrays of their length. */
  get stored(): StoredStrings {
    return {
      offsets: this.offsets.subarray(0, this.#count + 1),
      bytes: this.bytes.subarray(0, this.offsets[this.#count]),
    }
  }

  /** The number of a string; −1 where it is not there. */
  find(value: string): number {
    return find(this, this.#index, value, hashOf(value))
  }

  /** The number of a string, which is added if it is not there. Throws an Error where it is no text, or too much. */
  add(value: string): number {
    const hash = hashOf(value)
    const known = find(this, this.#index, value, hash)
    if (known >= 0) return known
    const start = this.offsets[this.#count]!
    const most = start + value.length * mostBytesPerUnit
    if (most > this.bytes.length) this.#growBytes(most)
    return this.#insert(hash, start + this.#write(value, start))
  }

  /** The same of a text whose UTF-8 bytes these are; `hash`: that of `hashAll`. */
  addBytes(bytes: Uint8Array, start: number, end: number, hash = hashOfBytes(bytes, start, end)): number {
    const index = this.#index
    for (let place = nextPlace(index, hash, hash); place >= 0; place = nextPlace(index, hash, place + 1)) {
      const number = slotAt(index, place)
      if (holds(this, number, bytes, start, end)) return number
    }
    const at = this.offsets[this.#count]!
    const after = at + end - start
    if (after > this.bytes.length) this.#growBytes(after)
    for (let i = start; i < end; i++) this.bytes[at + i - start] = bytes[i]!
    return this.#insert(hash, after)
  }

  /**
   * The hashes of the texts of rows, until the next call; of new texts mostly. Adding them is faster afterwards: the
   * processor has waited for many places of the index at a time.
   */
  hashAll(texts: RowTexts, rows: number): Int32Array {
    const hashes = texts.hashes ?? this.#hash(texts, rows)
    const index = this.#index
    const mask = index.length / 2 - 1
    let read = 0
    // The string at a place is mostly the one that is looked for; an empty place is taken for the first one.
    const { offsets, bytes: own } = this
    for (let row = 0; row < rows; row++) {
      const number = index[(hashes[row]! & mask) * 2]! - 1
      read ^= own[offsets[Math.max(0, number)]!]!
    }
    lastRead[0] = read
    return hashes
  }

  #hash({ bytes, starts, ends, numberOf }: RowTexts, rows: number): Int32Array {
    if (this.#hashes.length < rows) this.#hashes = new Int32Array(rows)
    const hashes = this.#hashes
    for (let row = 0; row < rows; row++) {
      const text = numberOf(row)
      if (text >= 0) hashes[row] = hashOfBytes(bytes, starts[text]!, ends[text]!)
    }
    return hashes
  }

  /** Numbers the string that has been written up to `end`. */
  #insert(hash: number, end: number): number {
    const number = this.#count++
    if (number + 1 === this.offsets.length) {
      const offsets = new Uint32Array(2 * this.offsets.length)
      offsets.set(this.offsets)
      this.offsets = offsets
    }
    this.offsets[number + 1] = end
    if (this.#count * 4 > this.#index.length) this.#index = grown(this.#index)
    insert(this.#index, hash, number)
    return number
  }

  /** Writes a string's bytes; returns their number. */
  #write(value: string, start: number): number {
    const { length } = value
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i)
      if (unit > 0x7f) {
        if (!isText(value)) throw new Error('has half of a surrogate pair')
        return writeUtf8(value, this.bytes, start)
      }
      this.bytes[start + i] = unit
    }
    return length
  }

  #growBytes(least: number): void {
    if (least > mostBytes) throw new Error('does not fit: the strings of a column take at most 4 GiB')
    const bytes = new Uint8Array(Math.min(mostBytes, Math.max(2 * this.bytes.length, least)))
    bytes.set(this.bytes)
    this.bytes = bytes
  }
}
