/*
 * A ring of bytes between one thread that writes and one that reads: neither waits for the other, and no message is
 * sent for an entry. Places are multiples of 8. An entry lies in one piece, behind its length.
 */

/** The memory of a ring, which threads share. */
export interface RingMemory {
  bytes: SharedArrayBuffer
  /** int32: where the next entry is written, and where the next one is read. */
  places: SharedArrayBuffer
}

const [head, tail] = [0, 1]
/** The next entry is at the beginning. */
const wrapped = -1
const lengthBytes = 8

export function createRing(size: number): RingMemory {
  return { bytes: new SharedArrayBuffer(whole(size)), places: new SharedArrayBuffer(8) }
}

const whole = (size: number) => (size + 7) & ~7

/** The side that writes. */
export class RingWriter {
  /** All of the ring: an entry is written behind the place that `reserve` answers. */
  readonly bytes: Buffer
  readonly words: Int32Array
  readonly floats: Float32Array
  readonly #places: Int32Array
  #at = 0

  constructor({ bytes, places }: RingMemory) {
    this.bytes = Buffer.from(bytes)
    this.words = new Int32Array(bytes)
    this.floats = new Float32Array(bytes)
    this.#places = new Int32Array(places)
  }

  /** Bytes that wait to be read. */
  get used(): number {
    const used = Atomics.load(this.#places, head) - Atomics.load(this.#places, tail)
    return used < 0 ? used + this.bytes.length : used
  }

  /** A place for an entry of at most `size` bytes, a multiple of 8; −1: there is no room. */
  reserve(size: number): number {
    const needed = lengthBytes + whole(size)
    const [from, to] = [Atomics.load(this.#places, head), Atomics.load(this.#places, tail)]
    const end = this.bytes.length
    // A ring whose places are equal is empty: it is never filled.
    if (from < to) this.#at = to - from > needed ? from : -1
    else if (end - from > needed || (end - from === needed && to > 0)) this.#at = from
    else if (to > needed) {
      this.words[from / 4] = wrapped
      this.#at = 0
    } else this.#at = -1
    return this.#at < 0 ? -1 : this.#at + lengthBytes
  }

  /** The entry in the reserved place is whole. */
  commit(length: number): void {
    this.words[this.#at / 4] = length
    const next = this.#at + lengthBytes + whole(length)
    Atomics.store(this.#places, head, next === this.bytes.length ? 0 : next)
  }
}

/** The side that reads. */
export class RingReader {
  readonly #bytes: Uint8Array
  readonly #lengths: Int32Array
  readonly #places: Int32Array

  constructor({ bytes, places }: RingMemory) {
    this.#bytes = new Uint8Array(bytes)
    this.#lengths = new Int32Array(bytes)
    this.#places = new Int32Array(places)
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#places, tail) === Atomics.load(this.#places, head)
  }

  /** A copy of the next entry, whose place is free from now on; undefined: there is none. */
  next(): Uint8Array<ArrayBuffer> | undefined {
    if (this.isEmpty) return undefined
    let at = Atomics.load(this.#places, tail)
    if (this.#lengths[at / 4] === wrapped) at = 0
    const length = this.#lengths[at / 4]!
    const entry = new Uint8Array(length)
    entry.set(this.#bytes.subarray(at + lengthBytes, at + lengthBytes + length))
    const next = at + lengthBytes + whole(length)
    Atomics.store(this.#places, tail, next === this.#bytes.length ? 0 : next)
    return entry
  }
}
