import { isUtf8 } from 'node:buffer'
import { StringCache } from './string-cache.ts'

/*
 * CSV as RFC 4180 describes it, from bytes: cells between separators, in quotes where they hold separators, line breaks
 * or (doubled) quotes. Lines end with LF, CRLF or CR; blank lines are no records.
 */

const quote = 0x22
const lineFeed = 0x0a
const carriageReturn = 0x0d
const mebibyte = 2 ** 20
/** Longest record: a longer one is most likely a quote that is never closed, or no CSV. */
const mostBytes = 4 * mebibyte

export interface CsvOptions {
  /** One character. */
  separator: string
  /** Whether white space around cells is dropped; in quotes it stays. */
  trim: boolean
}

/**
 * Cuts bytes into records. Bytes are pushed; then `next` gives records as strings, or `cut` as places in the bytes,
 * until it needs more bytes.
 */
export class CsvParser {
  /** Line, from 1, on which the last record began. */
  line = 1
  /** The bytes that `starts` and `ends` are places in, until more are pushed. */
  bytes: Buffer = Buffer.alloc(0)
  /** Where cells of records begin and end, without quotes around them. */
  starts = new Int32Array(64)
  ends = new Int32Array(64)
  readonly #separator: Buffer
  /** The separator, where it is one byte; else −1. */
  readonly #comma: number
  readonly #trim: boolean
  /** 1 for bytes that end a cell without quotes, or must not be in it. */
  readonly #special = new Uint8Array(256)
  /** The largest of these bytes, below those of most content. */
  readonly #largest: number
  readonly #strings = new StringCache()
  readonly #cells: string[] = []
  #memory: Buffer = Buffer.alloc(0)
  /** Cells of the last record with doubled quotes. */
  readonly #doubled: number[] = []
  /** Whether all bytes are known to be UTF-8, and none is NUL. */
  #isText = false
  /** Where the next record begins, or blank lines before it. */
  #at = 0
  #nextLine = 1
  #last = false
  #started = false

  constructor({ separator, trim }: CsvOptions) {
    this.#separator = Buffer.from(separator)
    this.#comma = this.#separator.length === 1 ? this.#separator[0]! : -1
    this.#trim = trim
    this.#largest = Math.max(quote, this.#separator[0]!)
    for (const byte of [this.#separator[0]!, quote, lineFeed, carriageReturn, 0]) this.#special[byte] = 1
  }

  /** Takes a copy of bytes; `last`: whether nothing follows. */
  push(bytes: Buffer, last: boolean): void {
    const rest = this.bytes.subarray(this.#at)
    if (rest.length > mostBytes)
      throw this.#error(`is longer than ${mostBytes / mebibyte} MiB: a quote may be open, or the file is no CSV`)
    const length = rest.length + bytes.length
    if (length > this.#memory.length) this.#memory = Buffer.alloc(2 * length)
    // Bytes may be moved within the same memory.
    this.#memory.set(rest)
    this.#memory.set(bytes, rest.length)
    this.bytes = this.#memory.subarray(0, length)
    this.#at = 0
    this.#last = last
    this.#isText = isText(this.bytes, last)
    if (this.#started || (this.bytes.length < 4 && !last)) return
    this.#started = true
    this.#at = startOf(this.bytes)
  }

  /**
   * The cells of the next record; undefined if it needs more bytes. The array is used again for the next one. Throws an
   * Error that names the line of what is malformed.
   */
  next(): string[] | undefined {
    const count = this.cut()
    if (count === undefined) return undefined
    const { bytes, starts, ends } = this
    const cells = this.#cells
    const strings = this.#strings
    for (let cell = 0; cell < count; cell++) {
      const [start, end] = [starts[cell]!, ends[cell]!]
      cells[cell] =
        strings.find(bytes, start, end) ?? strings.add(bytes, start, end, bytes.toString('utf8', start, end))
    }
    cells.length = count
    return cells
  }

  /**
   * The number of cells of the next record, whose places are in `starts` and `ends` from `first` on; otherwise like
   * `next`.
   */
  cut(first = 0): number | undefined {
    if (!this.#started || !this.#skipBlankLines()) return undefined
    this.line = this.#nextLine
    this.#doubled.length = 0
    const bytes = this.bytes
    const special = this.#special
    const largest = this.#largest
    const trim = this.#trim
    const comma = this.#comma
    const isText = this.#isText
    const { length } = bytes
    let { starts, ends } = this
    let at = this.#at
    let breaks = 0
    for (let cell = first; ; cell++) {
      if (trim) while (isBlank(bytes[at])) at++
      if (cell === starts.length) {
        this.#growCells()
        ;({ starts, ends } = this)
      }
      if (bytes[at] === quote) {
        const start = at + 1
        const end = this.#closingQuote(start, cell)
        if (end < 0) return undefined
        breaks += countBreaks(bytes, start, end)
        starts[cell] = start
        ends[cell] = end
        at = end + 1
        if (trim) while (isBlank(bytes[at])) at++
      } else {
        const start = at
        for (; at < length; at++) {
          const byte = bytes[at]!
          if (byte <= largest && special[byte] === 1 && (byte === comma || !this.#isContent(at))) break
        }
        let end = at
        if (trim) while (end > start && isBlank(bytes[end - 1])) end--
        starts[cell] = start
        ends[cell] = end
      }
      if (at === length && !this.#last) return undefined
      if (!isText) this.#checkText(starts[cell]!, ends[cell]!)
      if (bytes[at] === comma) {
        at++
        continue
      }
      const after = this.#after(at)
      if (after === 'more') return undefined
      if (after > 0) {
        at += after
        continue
      }
      this.#at = at - after
      this.#nextLine += breaks + 1
      // Its bytes are not read again.
      for (const doubled of this.#doubled) this.#halveQuotes(doubled)
      return cell + 1 - first
    }
  }

  #growCells(): void {
    for (const name of ['starts', 'ends'] as const) {
      const larger = new Int32Array(2 * this[name].length)
      larger.set(this[name])
      this[name] = larger
    }
  }

  /** Writes one quote for each two in a cell. */
  #halveQuotes(cell: number): void {
    const { bytes } = this
    let to = this.starts[cell]!
    for (let at = to; at < this.ends[cell]!; at++) {
      bytes[to++] = bytes[at]!
      if (bytes[at] === quote) at++
    }
    this.ends[cell] = to
  }

  /** Whether a record follows. */
  #skipBlankLines(): boolean {
    const bytes = this.bytes
    for (;;) {
      let at = this.#at
      if (this.#trim) while (isBlank(bytes[at])) at++
      const length = this.#breakAt(at)
      if (length === 'more') return false
      if (length === 0) return at < bytes.length
      this.#at = at + length
      this.#nextLine++
    }
  }

  /**
   * Says what follows a cell: a separator, as its length; a line break, as minus its length; the end of the file, as
   * 0; or `more` where the bytes do not say it yet.
   */
  #after(at: number): number | 'more' {
    const bytes = this.bytes
    if (at === bytes.length) return this.#last ? 0 : 'more'
    const length = this.#breakAt(at)
    if (length !== 0) return length === 'more' ? 'more' : -length
    const { length: width } = this.#separator
    if (bytes.length - at < width && !this.#last) return 'more'
    if (this.#isSeparator(at)) return width
    if (bytes[at] === 0) throw this.#error('has a NUL byte: the file is no text, or none in UTF-8')
    if (bytes[at] === quote) throw this.#error('has a quote inside a cell that does not begin with one')
    throw this.#error('has text between a closing quote and the separator; in quotes, quotes are doubled')
  }

  /** Length of the line break at a place, 0 if there is none. */
  #breakAt(at: number): number | 'more' {
    const bytes = this.bytes
    if (bytes[at] === lineFeed) return 1
    if (bytes[at] !== carriageReturn) return 0
    if (at + 1 === bytes.length && !this.#last) return 'more'
    return bytes[at + 1] === lineFeed ? 2 : 1
  }

  #isSeparator(at: number): boolean {
    const separator = this.#separator
    for (let i = 0; i < separator.length; i++) if (this.bytes[at + i] !== separator[i]) return false
    return true
  }

  /** Whether a byte only looks like the beginning of a separator of several bytes. */
  #isContent(at: number): boolean {
    const { length } = this.#separator
    if (length === 1 || this.bytes[at] !== this.#separator[0]) return false
    return (at + length <= this.bytes.length || this.#last) && !this.#isSeparator(at)
  }

  /** Place of the quote that closes a cell; −1 if it is not known yet. */
  #closingQuote(from: number, cell: number): number {
    const { bytes } = this
    for (let at = from; ; at += 2) {
      at = bytes.indexOf(quote, at)
      if (at < 0) {
        if (this.#last) throw this.#error('opens a quote that is never closed')
        return -1
      }
      if (at + 1 === bytes.length && !this.#last) return -1
      if (bytes[at + 1] !== quote) return at
      if (this.#doubled.at(-1) !== cell) this.#doubled.push(cell)
    }
  }

  #checkText(start: number, end: number): void {
    const cell = this.bytes.subarray(start, end)
    if (!isUtf8(cell)) throw this.#error('is not UTF-8: save the file in that encoding')
    if (cell.includes(0)) throw this.#error('has a NUL byte: the file is no text, or none in UTF-8')
  }

  #error(message: string): Error {
    return new Error(`line ${this.line} ${message}`)
  }
}

/** Where text begins, after a byte order mark. Throws an Error for files that are known to be none in UTF-8. */
function startOf(bytes: Buffer): number {
  const begins = (...mark: number[]) => mark.every((byte, i) => bytes[i] === byte)
  if (begins(0xef, 0xbb, 0xbf)) return 3
  if (begins(0xff, 0xfe) || begins(0xfe, 0xff)) throw new Error('is in UTF-16: save it in UTF-8')
  if (begins(0x1f, 0x8b)) throw new Error('is compressed by gzip: give it a name that ends with .gz')
  if (begins(0x50, 0x41, 0x52, 0x31)) throw new Error('is a Parquet file: name it under `parquet`')
  if (begins(0x7b, 0x22) || begins(0x7b, 0x20, 0x22) || begins(0x5b, 0x7b))
    throw new Error('looks like JSON lines or JSON, which are not read: CSV and Parquet are')
  return 0
}

/** Space, tab, vertical tab or form feed. */
function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0b || byte === 0x0c
}

function countBreaks(bytes: Buffer, start: number, end: number): number {
  let breaks = 0
  for (let at = start; at < end; at++)
    if (bytes[at] === lineFeed || (bytes[at] === carriageReturn && bytes[at + 1] !== lineFeed)) breaks++
  return breaks
}

/** Whether bytes are UTF-8 without NUL. Unless they are the last, a character may be cut at their end. */
function isText(bytes: Buffer, last: boolean): boolean {
  let end = bytes.length
  if (!last) while (end > 0 && bytes.length - end < 4 && bytes[end - 1]! > 0x7f) end--
  return isUtf8(bytes.subarray(0, end)) && !bytes.includes(0)
}
