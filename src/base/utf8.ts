/** Encodes text whose bytes are kept. */
const encoder = new TextEncoder()

/** Most units that are written one by one: a call of the encoder takes as long as 24 of them. */
const mostByHand = 24

/** Most bytes that UTF-8 takes for a unit of UTF-16. */
export const mostBytesPerUnit = 3

/** Writes a string's UTF-8 bytes from `start` on, halves of surrogate pairs as U+FFFD; returns their number. */
export function writeUtf8(value: string, bytes: Uint8Array, start = 0): number {
  const { length } = value
  if (length > mostByHand) return encode(value, bytes, start)
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i)
    if (unit > 0x7f) return encode(value, bytes, start)
    bytes[start + i] = unit
  }
  return length
}

function encode(value: string, bytes: Uint8Array, start: number): number {
  return encoder.encodeInto(value, start === 0 ? bytes : bytes.subarray(start)).written
}

/** Whether a string is text: it has no half of a surrogate pair, which UTF-8 has no bytes for. */
export const isText = (value: string): boolean => !/\p{Cs}/u.test(value)
