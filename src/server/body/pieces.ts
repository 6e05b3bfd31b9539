/**
 * A piece of at least this many bytes is kept as it came; smaller ones are copied together, since a Buffer takes 200 of
 * its own.
 */
const worthKeeping = 1024

/** Room for small pieces, bytes: at first, and at most; each is twice as large as the one before. */
const leastRoom = 256
const mostRoom = 16 * 1024

/** The pieces of a body, in order. A body that comes byte by byte takes little more memory than its bytes. */
export class Pieces {
  #pieces: Buffer[] = []
  #length = 0
  #count = 0
  /** The buffer that small pieces are copied to, and how much of it is taken. */
  #room: Buffer | undefined
  #taken = 0
  #roomBytes = 0

  /** Bytes so far. */
  get length(): number {
    return this.#length
  }

  /** Pieces so far. */
  get count(): number {
    return this.#count
  }

  add(piece: Buffer): void {
    this.#count++
    // A whole body in one piece is not copied.
    const isSmall = piece.length < worthKeeping && this.#length > 0
    this.#length += piece.length
    if (isSmall) this.#copy(piece)
    else {
      this.#close()
      this.#pieces.push(piece)
    }
  }

  #copy(piece: Buffer): void {
    if (this.#room === undefined || this.#taken + piece.length > this.#room.length) {
      this.#close()
      this.#roomBytes = Math.min(mostRoom, Math.max(2 * this.#roomBytes, leastRoom, piece.length))
      this.#room = Buffer.allocUnsafeSlow(this.#roomBytes)
    }
    this.#taken += piece.copy(this.#room, this.#taken)
  }

  #close(): void {
    if (this.#room === undefined) return
    const taken = this.#room.subarray(0, this.#taken)
    // Room for many small pieces would stay with a few, where large ones come between them.
    this.#pieces.push(2 * taken.length < this.#room.length ? Buffer.from(taken) : taken)
    this.#room = undefined
    this.#taken = 0
  }

  /** All bytes; afterwards it holds none. */
  take(): Buffer {
    this.#close()
    const body = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.#length)
    this.clear()
    return body
  }

  clear(): void {
    this.#pieces = []
    this.#length = 0
    this.#count = 0
    this.#room = undefined
    this.#taken = 0
  }
}
