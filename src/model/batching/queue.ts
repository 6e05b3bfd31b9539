import TinyQueue from 'tinyqueue'
import type { BatchSlice } from './tensors.ts'

/** A part of a request that waits; `live()` turns false when the request has been settled meanwhile. */
export interface QueuedSlice extends BatchSlice {
  /** Pieces come up in the order of their deadlines, ms; at the same one in the order in which they came. */
  deadline: number
  live(): boolean
}

interface Entry<P> {
  piece: P
  order: number
}

/**
 * Earliest deadline first, counted in rows. A settled request's pieces stay until they come up or outnumber the live
 * ones, so that settling costs nothing and memory stays proportional to the live pieces.
 */
export class DeadlineQueue<P extends QueuedSlice> {
  #heap = new TinyQueue<Entry<P>>([], compare)
  #order = 0
  #rows = 0
  #pieces = 0

  /** Rows of live pieces. */
  get rows(): number {
    return this.#rows
  }

  /** Live pieces. */
  get pieces(): number {
    return this.#pieces
  }

  /** The first live piece; drops settled ones before it. */
  peek(): P | undefined {
    for (;;) {
      const first = this.#heap.peek()
      if (first === undefined || first.piece.live()) return first?.piece
      this.#heap.pop()
    }
  }

  push(piece: P): void {
    this.#rows += piece.count
    this.#pieces++
    this.#heap.push({ piece, order: this.#order++ })
  }

  /** Takes the first live piece. */
  shift(): P | undefined {
    const piece = this.peek()
    if (piece === undefined) return undefined
    this.#rows -= piece.count
    this.#pieces--
    this.#heap.pop()
    return piece
  }

  /** Takes the first rows of the first live piece; the rest keeps its place. */
  shiftRows(count: number): P | undefined {
    const piece = this.peek()
    if (piece === undefined || piece.count <= count) return this.shift()
    const taken = { ...piece, count }
    piece.start += count
    piece.count -= count
    this.#rows -= count
    return taken
  }

  /** Says that `pieces` queued pieces with `rows` rows in all have been settled. */
  forget(pieces: number, rows: number): void {
    this.#rows -= rows
    this.#pieces -= pieces
    const dead = this.#heap.length - this.#pieces
    if (dead <= 64 || dead * 2 <= this.#heap.length) return
    this.#heap = new TinyQueue(
      this.#heap.data.filter(({ piece }) => piece.live()),
      compare,
    )
  }
}

function compare(a: Entry<QueuedSlice>, b: Entry<QueuedSlice>): number {
  return a.piece.deadline - b.piece.deadline || a.order - b.order
}
