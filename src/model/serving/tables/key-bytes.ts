import { isText, mostBytesPerUnit, writeUtf8 } from '../../../base/utf8.ts'

/** Keys as UTF-8 bytes. One that ends before it begins has no bytes: no table has it. */
export interface KeyBytes {
  readonly length: number
  readonly bytes: Uint8Array
  readonly starts: Int32Array
  readonly ends: Int32Array
}

/** The bytes of strings, until the next call. */
export function keyBytesOf(keys: readonly string[]): KeyBytes {
  return written.write(keys)
}

/** Most bytes that are kept for the next keys. */
const mostKept = 2 ** 16

/** Memory for the bytes of keys, which is used again. */
class WrittenKeys implements KeyBytes {
  length = 0
  bytes = new Uint8Array(mostKept)
  starts = new Int32Array(256)
  ends = new Int32Array(256)

  write(keys: readonly string[]): this {
    const { length } = keys
    this.length = length
    if (this.starts.length < length) {
      this.starts = new Int32Array(2 * length)
      this.ends = new Int32Array(2 * length)
    }
    if (this.bytes.length > mostKept) this.bytes = new Uint8Array(mostKept)
    let at = 0
    for (let i = 0; i < length; i++) {
      const key = keys[i]!
      const most = at + key.length * mostBytesPerUnit
      if (most > this.bytes.length) this.#grow(most)
      this.starts[i] = at
      const end = at + writeUtf8(key, this.bytes, at)
      // Half of a surrogate pair is written as another character.
      const isWhole = end - at === key.length || isText(key)
      this.ends[i] = isWhole ? end : at - 1
      at = end
    }
    return this
  }

  #grow(least: number): void {
    const larger = new Uint8Array(2 * least)
    larger.set(this.bytes)
    this.bytes = larger
  }
}

const written = new WrittenKeys()
