import { isUtf8 } from 'node:buffer'
import type { BadValue } from './infer-datatypes.ts'

/** Bytes of a string's length before it. */
const prefix = 4

/**
 * The strings of a BYTES tensor as they come over the wire: each with its length before it, 32 bits little-endian.
 * Reports a problem unless `count` of them take all bytes.
 */
export function stringsFromBytes(bytes: Buffer, count: number): string[] | BadValue {
  const strings: string[] = []
  let offset = 0
  for (let index = 0; index < count; index++) {
    if (bytes.length - offset < prefix)
      return { index, message: `has no length: only ${bytes.length - offset} bytes are left` }
    const start = offset + prefix
    const length = bytes.readUInt32LE(offset)
    if (length > bytes.length - start)
      return { index, message: `is said to have ${length} bytes, but only ${bytes.length - start} are left` }
    offset = start + length
    const text = bytes.toString('utf8', start, offset)
    // Invalid UTF-8 becomes U+FFFD, which can also be sent.
    if (text.includes('\ufffd') && !isUtf8(bytes.subarray(start, offset))) return { index, message: 'must be UTF-8' }
    strings.push(text)
  }
  if (offset < bytes.length)
    return { index: count, message: `is too much: ${bytes.length - offset} bytes follow the last of ${count} strings` }
  return strings
}

/** The strings of a JSON array. */
export function stringsFromJson(values: unknown[]): string[] | BadValue {
  const index = values.findIndex((value) => typeof value !== 'string')
  return index < 0 ? (values as string[]) : { index, message: 'must be a string' }
}
