import type { Part } from './tensors.ts'

/** A part of a request that waits; `live()` turns false when the request has been settled meanwhile. */
export interface Piece extends Part {
  live(): boolean
}

/**
 * First in, first out, counted in rows. A settled request's pieces stay until they come up or outnumber the live ones,
 * so that settling costs nothing and memory stays proportional to what is live.
 */
export class RowQueue<P extends Piece> {
  #pieces: P[] = []
  #head = 0
  #rows = 0
  #dead = 0

  /** Rows of live pieces. */
  get rows(): number {
    return this.#rows
  }

  /** The first live piece; drops settled ones before it. */
  peek(): P | undefined {
    for (;;) {
      const piece = this.#pieces[this.#head]
      if (piece === undefined || piece.live()) return piece
      this.#dead--
      this.#advance()
    }
  }

  push(piece: P): void {
    this.#pieces.push(piece)
    this.#rows += piece.count
  }

  /** Takes the first live piece. */
  shift(): P | undefined {
    const piece = this.peek()
    if (piece === undefined) return undefined
    this.#rows -= piece.count
    this.#advance()
    return piece
  }

  /** Says that `pieces` queued pieces with `rows` rows in all have been settled. */
  forget(pieces: number, rows: number): void {
    this.#rows -= rows
    this.#dead += pieces
    if (this.#dead > 64 && this.#dead * 2 > this.#pieces.length - this.#head) this.#compact((piece) => piece.live())
  }

  #advance(): void {
    this.#head++
    if (this.#head > 1024 && this.#head * 2 > this.#pieces.length) this.#compact(() => true)
  }

  #compact(keep: (piece: P) => boolean): void {
    const waiting = this.#pieces.slice(this.#head)
    this.#pieces = waiting.filter(keep)
    this.#dead -= waiting.length - this.#pieces.length
    this.#head = 0
  }
}
