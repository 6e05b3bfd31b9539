/*
 * Numbers from the bytes of a text, without a string.
 */

/** Most digits whose number a float64 holds exactly, whatever they are. */
const mostDigits = 15
/** Powers of ten that a float64 holds exactly. */
const powers = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))

const [plus, minus, point, zero] = [0x2b, 0x2d, 0x2e, 0x30]
const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= zero && byte <= zero + 9

/** Reads numbers. */
export class NumberReader {
  /** Whether each number so far was written as JSON writes it. */
  isJson = true

  /**
   * The number that bytes are: JSON's, with a sign and zeros before it as spreadsheets write them. NaN where they are
   * none; infinite where it is too large. Rounded like `Number`: up to 15 digits and a power of ten are exact, so that
   * one multiplication or division rounds once; `Number` reads the others.
   */
  read(bytes: Uint8Array, start: number, end: number): number {
    const sign = bytes[start]!
    const first = sign === minus || sign === plus ? start + 1 : start
    let size = 0
    let at = first
    for (; at < end; at++) {
      const digit = bytes[at]! - zero
      if (digit < 0 || digit > 9) break
      size = size * 10 + digit
    }
    let digits = at - first
    let decimals = 0
    if (at < end && bytes[at] === point) {
      const before = ++at
      for (; at < end; at++) {
        const digit = bytes[at]! - zero
        if (digit < 0 || digit > 9) break
        size = size * 10 + digit
      }
      decimals = at - before
      digits += decimals
    }
    // A point needs a digit on one of its sides.
    if (digits === 0) return Number.NaN
    const exponent = (at < end ? readExponent(bytes, at, end) : 0) - decimals
    if (Number.isNaN(exponent)) return Number.NaN
    const isExact = digits <= mostDigits && exponent <= 22 && exponent >= -22
    if (isExact) size = exponent < 0 ? size / powers[-exponent]! : size * powers[exponent]!
    const value = !isExact ? Number(textOf(bytes, start, end)) : sign === minus ? -size : size
    if (this.isJson) {
      if (value === 0) this.isJson = end - start === 1
      else if (isExact && at === end && size >= 1e-6)
        this.isJson = isPlain(bytes, sign === plus ? start : first, end, decimals)
      else this.isJson = String(value) === textOf(bytes, start, end)
    }
    return value
  }
}

/**
 * Whether JSON writes digits, with a point before the last `decimals`, like this: up to 15 of them are the only ones of
 * their number, if there are no zeros around them.
 */
function isPlain(bytes: Uint8Array, first: number, end: number, decimals: number): boolean {
  const last = bytes[end - 1]
  if (last === point || (decimals > 0 && last === zero)) return false
  return bytes[first] === zero ? bytes[first + 1] === point : isDigit(bytes[first])
}

/** The exponent that follows a number's digits, from its `e` on; NaN where there is none. */
function readExponent(bytes: Uint8Array, start: number, end: number): number {
  // Capital or small.
  if ((bytes[start]! | 0x20) !== 0x65) return Number.NaN
  const sign = bytes[start + 1]
  const first = sign === minus || sign === plus ? start + 2 : start + 1
  if (first >= end) return Number.NaN
  let exponent = 0
  for (let at = first; at < end; at++) {
    if (!isDigit(bytes[at])) return Number.NaN
    exponent = exponent * 10 + (bytes[at]! - zero)
  }
  return sign === minus ? -exponent : exponent
}

export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString()
}
