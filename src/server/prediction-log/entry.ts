import type { EntryHeader } from './messages.ts'
import type { RingWriter } from './ring.ts'

/*
 * An entry of the ring: int32 [4], the lengths of its parts in bytes; the graph's probabilities, float32; the place of
 * each row in the request, int32; the header as JSON; and the body as it came.
 */

export interface Entry {
  header: EntryHeader
  body: Uint8Array
  /** float32 [rows, tasks], as the graph answers them. */
  probabilities: Float32Array
  /** The place of each row in the request; empty: its own. */
  index: Int32Array
}

const lengths = 16

/** Puts an entry into the ring; false: there is no room. */
export function putEntry(
  ring: RingWriter,
  header: EntryHeader,
  body: Uint8Array,
  probabilities: Float32Array,
  index: Int32Array,
): boolean {
  const text = JSON.stringify(header)
  // A character may be three bytes.
  const start = ring.reserve(lengths + probabilities.byteLength + index.byteLength + 3 * text.length + body.length)
  if (start < 0) return false
  const { bytes, words, floats } = ring
  const first = start / 4
  floats.set(probabilities, first + lengths / 4)
  words.set(index, first + lengths / 4 + probabilities.length)
  const afterIndex = start + lengths + probabilities.byteLength + index.byteLength
  const headerBytes = bytes.write(text, afterIndex)
  bytes.set(body, afterIndex + headerBytes)
  words[first] = probabilities.byteLength
  words[first + 1] = index.byteLength
  words[first + 2] = headerBytes
  words[first + 3] = body.length
  ring.commit(afterIndex + headerBytes + body.length - start)
  return true
}

/** The parts of an entry, as views of it. Throws SyntaxError where it is none. */
export function readEntry(bytes: Uint8Array<ArrayBuffer>): Entry {
  const { buffer } = bytes
  const [probabilities, index, header] = new Uint32Array(buffer, 0, 4) as unknown as [number, number, number]
  const afterIndex = lengths + probabilities + index
  return {
    probabilities: new Float32Array(buffer, lengths, probabilities / 4),
    index: new Int32Array(buffer, lengths + probabilities, index / 4),
    header: JSON.parse(Buffer.from(buffer, afterIndex, header).toString()) as EntryHeader,
    body: new Uint8Array(buffer, afterIndex + header),
  }
}
