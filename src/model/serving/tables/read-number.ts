/*
 * Numbers from the bytes of a text, without a string.
 */

/** Most digits whose number a float64 holds exactly, whatever they are. */
const mostDigits = 15
/** Powers of ten that a float64 holds exactly. */
const powers = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))

const [plus, minus, point, zero] = [0x2b, 0x2d, 0x2e, 0x30]
const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= zero && byte <= zero + 9

/**
 * The number that bytes are: JSON's, with a sign and zeros before it as spreadsheets write them. NaN where they are
 * none; infinite where it is too large. Rounded like `Number`: up to 15 digits and a power of ten are exact, so that
 * one multiplication or division rounds once; `Number` reads the others.
 */
export function readNumber(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start]!
  let at = first === minus || first === plus ? start + 1 : start
  let [value, digits, significant, exponent] = [0, 0, 0, 0]
  let fraction = false
  for (; at < end; at++) {
    const byte = bytes[at]!
    if (byte >= zero && byte <= zero + 9) {
      digits++
      if (significant > 0 || byte !== zero) significant++
      value = value * 10 + (byte - zero)
      if (fraction) exponent--
    } else if (byte === point && !fraction) {
      // A point needs a digit on one of its sides.
      fraction = true
    } else break
  }
  if (digits === 0) return Number.NaN
  if (at < end) {
    const power = readExponent(bytes, at, end)
    if (Number.isNaN(power)) return Number.NaN
    exponent += power
  }
  if (significant > mostDigits || exponent > 22 || exponent < -22) return Number(textOf(bytes, start, end))
  const size = exponent < 0 ? value / powers[-exponent]! : value * powers[exponent]!
  return first === minus ? -size : size
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

/** Whether the bytes of a number are what JSON writes for it. */
export function isJsonNumber(bytes: Uint8Array, start: number, end: number, value: number): boolean {
  if (value === 0) return end - start === 1
  const first = bytes[start] === minus ? start + 1 : start
  // Up to 15 digits are the only ones of their number: JSON writes them, if there are no zeros around them.
  let isPlain = end - first <= mostDigits && Math.abs(value) >= 1e-6
  let fraction = false
  for (let at = first; isPlain && at < end; at++) {
    if (bytes[at] === point) fraction = true
    else isPlain = isDigit(bytes[at])
  }
  if (!isPlain) return String(value) === textOf(bytes, start, end)
  const last = bytes[end - 1]
  if (fraction && (last === zero || last === point)) return false
  return bytes[first] === zero ? bytes[first + 1] === point : bytes[first] !== point
}

export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString()
}
