/** Encodes text whose bytes are kept. */
const encoder = new TextEncoder()

/** Most units that are written one by one: a call of the encoder takes as long as 24 of them. */
const mostByHand = 24

/** Most bytes that UTF-8 takes for a unit of UTF-16. */
export const mostBytesPerUnit = 3

/** Writes a string's UTF-8 bytes, halves of surrogate pairs as U+FFFD; returns their number. */
export function writeUtf8(value: string, bytes: Uint8Array): number {
  const { length } = value
  if (length > mostByHand) return encoder.encodeInto(value, bytes).written
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i)
    if (unit > 0x7f) return encoder.encodeInto(value, bytes).written
    bytes[i] = unit
  }
  return length
}

/** Whether a string is text: it has no half of a surrogate pair, which UTF-8 has no bytes for. */
export const isText = (value: string): boolean => !/\p{Cs}/u.test(value)
