import { isUtf8 } from 'node:buffer'
import type { CsvParser } from './csv-parser.ts'
import type { ColumnTexts, GroupColumn } from './source.ts'

/** Texts, as UTF-8, that have no value: those of a column without them. */
class Missing {
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

const textAt = ({ bytes, starts, ends }: ColumnTexts, number: number): string => {
  const start = starts[number]!
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, ends[number]! - start).toString()
}

/** Cells of a column in the bytes of a parser, which are used again for the next ones. */
export class CsvColumn implements GroupColumn<string | null> {
  readonly texts: ColumnTexts = { bytes: new Uint8Array(0), starts: new Int32Array(64), ends: new Int32Array(64) }
  readonly #missing: Missing

  constructor(missing: Iterable<string>) {
    this.#missing = new Missing(missing)
  }

  /** Takes a cell of the parser's last record over as that of a row. */
  put(row: number, { bytes, starts, ends }: CsvParser, cell: number): void {
    const { texts } = this
    if (row === texts.starts.length) {
      texts.starts = larger(texts.starts)
      texts.ends = larger(texts.ends)
    }
    const start = starts[cell]!
    const end = ends[cell]!
    texts.bytes = bytes
    texts.starts[row] = this.#missing.has(bytes, start, end) ? -1 : start
    texts.ends[row] = end
  }

  at(row: number): string | null {
    return this.texts.starts[row]! < 0 ? null : textAt(this.texts, row)
  }
}

/** Different texts of a column, one behind the other. */
export class TextList implements ColumnTexts {
  bytes = new Uint8Array(2 ** 14)
  readonly #missing: Missing
  #offsets = new Int32Array(2 ** 10)
  #count = 0

  constructor(missing: Iterable<string>) {
    this.#missing = new Missing(missing)
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
