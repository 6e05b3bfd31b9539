import { isUtf8 } from 'node:buffer'

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

/** Cuts bytes into records. Bytes are pushed; then `next` gives records until it needs more bytes. */
export class CsvParser {
  /** Line, from 1, on which the last record began. */
  line = 1
  readonly #separator: Buffer
  readonly #trim: boolean
  /** 1 for bytes that end a cell without quotes, or must not be in it. */
  readonly #special = new Uint8Array(256)
  readonly #strings = new StringCache()
  readonly #cells: string[] = []
  #bytes: Buffer = Buffer.alloc(0)
  /** Where the next record begins, or blank lines before it. */
  #at = 0
  #nextLine = 1
  #last = false
  #started = false

  constructor({ separator, trim }: CsvOptions) {
    this.#separator = Buffer.from(separator)
    this.#trim = trim
    for (const byte of [this.#separator[0]!, quote, lineFeed, carriageReturn, 0]) this.#special[byte] = 1
  }

  /** `last`: whether nothing follows. */
  push(bytes: Buffer, last: boolean): void {
    const rest = this.#bytes.subarray(this.#at)
    if (rest.length > mostBytes)
      throw this.#error(`is longer than ${mostBytes / mebibyte} MiB: a quote may be open, or the file is no CSV`)
    this.#bytes = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    this.#at = 0
    this.#last = last
    if (this.#started || (this.#bytes.length < 4 && !last)) return
    this.#started = true
    this.#at = startOf(this.#bytes)
  }

  /**
   * The cells of the next record; undefined if it needs more bytes. The array is used again for the next one. Throws an
   * Error that names the line of what is malformed.
   */
  next(): string[] | undefined {
    if (!this.#started || !this.#skipBlankLines()) return undefined
    this.line = this.#nextLine
    const bytes = this.#bytes
    const cells = this.#cells
    const special = this.#special
    let at = this.#at
    let breaks = 0
    for (let cell = 0; ; cell++) {
      if (this.#trim) while (isBlank(bytes[at])) at++
      const first = at
      let text: string
      if (bytes[at] === quote) {
        const end = this.#closingQuote(at + 1)
        if (end < 0) return undefined
        text = this.#decode(first + 1, end)
        breaks += countBreaks(text)
        if (text.includes('"')) text = text.replaceAll('""', '"')
        at = end + 1
        if (this.#trim) while (isBlank(bytes[at])) at++
      } else {
        for (; at < bytes.length; at++) if (special[bytes[at]!] === 1 && !this.#isContent(at)) break
        if (at === bytes.length && !this.#last) return undefined
        let end = at
        if (this.#trim) while (end > first && isBlank(bytes[end - 1])) end--
        text = this.#strings.find(bytes, first, end) ?? this.#strings.add(bytes, first, end, this.#decode(first, end))
      }
      if (at === bytes.length && !this.#last) return undefined
      cells[cell] = text
      const after = this.#after(at)
      if (after === 'more') return undefined
      if (after > 0) {
        at += after
        continue
      }
      cells.length = cell + 1
      this.#at = at - after
      this.#nextLine += breaks + 1
      return cells
    }
  }

  /** Whether a record follows. */
  #skipBlankLines(): boolean {
    const bytes = this.#bytes
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
    const bytes = this.#bytes
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
    const bytes = this.#bytes
    if (bytes[at] === lineFeed) return 1
    if (bytes[at] !== carriageReturn) return 0
    if (at + 1 === bytes.length && !this.#last) return 'more'
    return bytes[at + 1] === lineFeed ? 2 : 1
  }

  #isSeparator(at: number): boolean {
    const separator = this.#separator
    for (let i = 0; i < separator.length; i++) if (this.#bytes[at + i] !== separator[i]) return false
    return true
  }

  /** Whether a byte only looks like the beginning of a separator of several bytes. */
  #isContent(at: number): boolean {
    const { length } = this.#separator
    if (length === 1 || this.#bytes[at] !== this.#separator[0]) return false
    return (at + length <= this.#bytes.length || this.#last) && !this.#isSeparator(at)
  }

  /** Place of the quote that closes a cell; −1 if it is not known yet. */
  #closingQuote(from: number): number {
    const bytes = this.#bytes
    for (let at = from; ; at += 2) {
      at = bytes.indexOf(quote, at)
      if (at < 0) {
        if (this.#last) throw this.#error('opens a quote that is never closed')
        return -1
      }
      if (at + 1 === bytes.length && !this.#last) return -1
      if (bytes[at + 1] !== quote) return at
    }
  }

  #decode(from: number, end: number): string {
    const text = this.#bytes.toString('utf8', from, end)
    if (text.includes('\ufffd') && !isUtf8(this.#bytes.subarray(from, end)))
      throw this.#error('is not UTF-8: save the file in that encoding')
    if (text.includes('\0')) throw this.#error('has a NUL byte: the file is no text, or none in UTF-8')
    return text
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

function countBreaks(text: string): number {
  let breaks = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === lineFeed || (code === carriageReturn && text.charCodeAt(i + 1) !== lineFeed)) breaks++
  }
  return breaks
}

/** Places for strings, a power of 2. */
const places = 2 ** 16
/** Most bytes of a string that is kept: longer ones are hardly met again. */
const width = 32

/**
 * Finds strings by their bytes, so that equal ones are decoded once and most often are one string. A string is
 * forgotten when another takes its place.
 */
export class StringCache {
  readonly #strings = new Array<string>(places).fill('')
  /** The strings' bytes, `width` for each place. */
  readonly #bytes = new Uint8Array(places * width)
  readonly #lengths = new Uint8Array(places)
  /** Place of the string that was looked for last. */
  #place = 0

  find(bytes: Uint8Array, from: number, end: number): string | undefined {
    const length = end - from
    if (length === 0) return ''
    if (length > width) return undefined
    let hash = 0x811c9dc5
    for (let at = from; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
    const place = (hash ^ (hash >>> 15)) & (places - 1)
    this.#place = place
    if (this.#lengths[place] !== length) return undefined
    const known = this.#bytes
    for (let i = 0, at = place * width; i < length; i++) if (known[at + i] !== bytes[from + i]) return undefined
    return this.#strings[place]
  }

  /** Keeps a string that `find` has just not found, and returns it. */
  add(bytes: Uint8Array, from: number, end: number, text: string): string {
    const length = end - from
    if (length > width) return text
    const place = this.#place
    for (let i = 0, at = place * width; i < length; i++) this.#bytes[at + i] = bytes[from + i]!
    this.#lengths[place] = length
    this.#strings[place] = text
    return text
  }
}
