import { isUtf8 } from 'node:buffer'
import type { CsvParser } from './csv-parser.ts'
import type { ColumnTexts, GroupColumn } from './source.ts'

/** Texts that stand for no value. */
export class MissingTexts {
  readonly #empty: boolean
  readonly #others: readonly Buffer[]

  constructor(texts: Iterable<string>) {
    const all = [...texts].map((text) => Buffer.from(text))
    this.#empty = all.some(({ length }) => length === 0)
    this.#others = all.filter(({ length }) => length > 0)
  }

  has(bytes: Uint8Array, start: number, end: number): boolean {
    if (start === end) return this.#empty
    return this.#others.length > 0 && this.#others.some((text) => text.equals(bytes.subarray(start, end)))
  }
}

/** The text with a number. */
function textAt({ bytes, starts, ends }: Pick<ColumnTexts, 'bytes' | 'starts' | 'ends'>, number: number): string {
  const start = starts[number]!
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, ends[number]! - start).toString()
}

/** A column of records of `width` cells that a parser has cut, until more is pushed. */
export function csvColumn(
  { bytes, starts, ends }: CsvParser,
  index: number,
  width: number,
  missing: MissingTexts,
): GroupColumn<string | null> {
  const texts: ColumnTexts = {
    ...{ bytes, starts, ends },
    numberOf(row) {
      const number = row * width + index
      return missing.has(bytes, starts[number]!, ends[number]!) ? -1 : number
    },
    numberAll(numbers) {
      for (let row = 0, number = index; row < numbers.length; row++, number += width)
        numbers[row] = missing.has(bytes, starts[number]!, ends[number]!) ? -1 : number
    },
  }
  return columnOfTexts(texts)
}

/** The column that texts are. */
export function columnOfTexts(texts: ColumnTexts): GroupColumn<string | null> {
  return {
    texts,
    at(row) {
      const number = texts.numberOf(row)
      return number < 0 ? null : textAt(texts, number)
    },
  }
}

/** Different texts of a column, one behind the other. */
export class TextList {
  bytes = new Uint8Array(2 ** 14)
  readonly #missing: MissingTexts
  #offsets = new Int32Array(2 ** 10)
  #count = 0

  constructor(missing: MissingTexts) {
    this.#missing = missing
  }

  get starts(): Int32Array {
    return this.#offsets
  }

  get ends(): Int32Array {
    return this.#offsets.subarray(1)
  }

  get count(): number {
    return this.#count
  }

  /** Adds a text; returns its number, −1 for one that is missing. Throws an Error for bytes that are no text. */
  add(text: Uint8Array): number {
    if (this.#missing.has(text, 0, text.length)) return -1
    if (!isUtf8(text)) throw new Error('holds text that is not UTF-8')
    const start = this.#offsets[this.#count]!
    const end = start + text.length
    if (end > this.bytes.length) {
      const bytes = new Uint8Array(Math.max(end, 2 * this.bytes.length))
      bytes.set(this.bytes)
      this.bytes = bytes
    }
    this.bytes.set(text, start)
    if (this.#count + 2 > this.#offsets.length) this.#offsets = larger(this.#offsets)
    this.#offsets[this.#count + 1] = end
    return this.#count++
  }

  textAt(number: number): string {
    return textAt(this, number)
  }
}

function larger(numbers: Int32Array): Int32Array<ArrayBuffer> {
  const twice = new Int32Array(2 * numbers.length)
  twice.set(numbers)
  return twice
}
