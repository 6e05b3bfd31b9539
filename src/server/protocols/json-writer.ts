import { KeyList } from '../../model/contracts/key-list.ts'
import type { CandidateIds } from '../../model/contracts/prediction.ts'

/** Most significant digits of a number: as exact as float32, in half the characters. */
const significant = 8

const powersOfTen = Float64Array.from({ length: 23 }, (_, exponent) => 10 ** exponent)
/** The two digits of 0 … 99, as ASCII: longer ones would take more of the processor's cache than they save. */
const digits = Uint8Array.from({ length: 200 }, (_, i) => 0x30 + (Math.floor((i >> 1) / 10 ** (1 - (i & 1))) % 10))

/** Up to this many, a loop costs less than a call out of JavaScript. */
const shortBytes = 64

/** From here on, the error of a product, at most 2^-27, may take it beyond a half. */
const nearHalf = 0.5 - 2 ** -26

const zero = 0x30
const point = 0x2e
const quote = 0x22

/** Writes JSON as bytes into a buffer that grows: far faster than strings of many numbers. */
export class JsonWriter {
  #bytes: Buffer
  #length = 0

  /** `size`: bytes expected. */
  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(Math.max(256, size))
  }

  /** The JSON; the writer can't be used any more. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Bytes written. */
  get length(): number {
    return this.#length
  }

  byte(code: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = code
  }

  /** Bytes, from `start` to `end`, that are JSON already. */
  raw(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#reserve(end - start)
    if (end - start > shortBytes) this.#bytes.set(bytes.subarray(start, end), this.#length)
    else {
      const to = this.#length - start
      for (let i = start; i < end; i++) this.#bytes[to + i] = bytes[i]!
    }
    this.#length += end - start
  }

  /** Text that is JSON already. */
  text(text: string): void {
    this.#reserve(text.length * 3)
    this.#length += this.#bytes.write(text, this.#length)
  }

  /** A string, escaped. */
  string(value: string): void {
    const { length } = value
    this.#reserve(length + 2)
    const start = this.#length
    let at = start
    this.#bytes[at++] = quote
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      // Characters that JSON escapes, and those that take more than a byte.
      if (code < 0x20 || code > 0x7e || code === quote || code === 0x5c) {
        this.#length = start
        this.text(JSON.stringify(value))
        return
      }
      this.#bytes[at++] = code
    }
    this.#bytes[at++] = quote
    this.#length = at
  }

  /** A string, or an integer with all its digits. */
  id(value: string | number): void {
    if (typeof value === 'string') this.string(value)
    else this.integer(value)
  }

  /** The id of a candidate; null where it has none. */
  idAt(ids: CandidateIds, place: number): void {
    if (ids instanceof KeyList) {
      // With its quotes.
      this.raw(ids.bytes, ids.starts[place]! - 1, ids.ends[place]! + 1)
      return
    }
    const id = ids[place]
    if (id === undefined) this.text('null')
    else this.id(id)
  }

  integer(value: number): void {
    this.text(String(value))
  }

  /**
   * A number, rounded to eight significant digits as Number#toPrecision does; null where it is not finite, as
   * JSON.stringify has it.
   */
  number(value: number): void {
    if (value === 0) {
      this.byte(zero)
      return
    }
    const size = Math.abs(value)
    if (!(size < 1 && size >= 1e-7)) {
      this.text(Number.isFinite(value) ? String(round(value)) : 'null')
      return
    }
    this.#reserve(24)
    const bytes = this.#bytes
    let at = this.#length
    if (value < 0) bytes[at++] = 0x2d
    // The first significant digit is this many places after the point.
    let place = 1
    while (size * powersOfTen[place]! < 1) place++
    let scaled = roundProduct(size, powersOfTen[place + significant - 1]!)
    if (scaled >= 100_000_000) {
      scaled = 10_000_000
      place--
    }
    if (place === 0) bytes[at++] = zero + 1
    else {
      bytes[at++] = zero
      bytes[at++] = point
      for (let i = 1; i < place; i++) bytes[at++] = zero
      const high = (scaled / 10_000) | 0
      const low = scaled - high * 10_000
      at = writeFour(bytes, at, high)
      if (low !== 0) at = writeFour(bytes, at, low)
      while (bytes[at - 1] === zero) at--
    }
    this.#length = at
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(2 * (this.#length + more))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** Writes the four digits of 0 … 9999; returns the place after them. */
function writeFour(bytes: Uint8Array, at: number, value: number): number {
  const high = (value / 100) | 0
  const low = value - high * 100
  bytes[at] = digits[high * 2]!
  bytes[at + 1] = digits[high * 2 + 1]!
  bytes[at + 2] = digits[low * 2]!
  bytes[at + 3] = digits[low * 2 + 1]!
  return at + 4
}

/**
 * An integer divided by a power of ten that a double holds is the double nearest to that decimal, which is then written
 * in its shortest form.
 */
function round(value: number): number {
  const size = Math.abs(value)
  const scale = powersOfTen[significant - 1 - Math.floor(Math.log10(size))]
  return scale === undefined
    ? Number(value.toPrecision(significant))
    : (Math.sign(value) * roundProduct(size, scale)) / scale
}

/** The eight digits of a number that `scale` moves before the point. */
function roundProduct(size: number, scale: number): number {
  const product = size * scale
  const rounded = Math.round(product)
  return Math.abs(product - rounded) < nearHalf ? rounded : Math.round(Number(size.toPrecision(significant)) * scale)
}
