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
 * Earliest deadline first, counted in rows: a binary heap. A settled request's pieces stay until they come up or
 * outnumber the live ones, so that settling costs nothing and memory stays proportional to what is live.
 */
export class DeadlineQueue<P extends QueuedSlice> {
  #heap: Entry<P>[] = []
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
      const first = this.#heap[0]
      if (first === undefined || first.piece.live()) return first?.piece
      this.#removeFirst()
    }
  }

  push(piece: P): void {
    this.#rows += piece.count
    this.#pieces++
    this.#heap.push({ piece, order: this.#order++ })
    this.#rise(this.#heap.length - 1)
  }

  /** Takes the first live piece. */
  shift(): P | undefined {
    const piece = this.peek()
    if (piece === undefined) return undefined
    this.#rows -= piece.count
    this.#pieces--
    this.#removeFirst()
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
    this.#heap = this.#heap.filter(({ piece }) => piece.live())
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#sink(i)
  }

  #removeFirst(): void {
    const last = this.#heap.pop()!
    if (this.#heap.length === 0) return
    this.#heap[0] = last
    this.#sink(0)
  }

  #rise(start: number): void {
    const heap = this.#heap
    for (let at = start; at > 0; ) {
      const parent = (at - 1) >> 1
      if (!isBefore(heap[at]!, heap[parent]!)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #sink(start: number): void {
    const heap = this.#heap
    for (let at = start; ; ) {
      let first = at
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < heap.length && isBefore(heap[child]!, heap[first]!)) first = child
      if (first === at) return
      this.#swap(at, first)
      at = first
    }
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap
    const entry = heap[a]!
    heap[a] = heap[b]!
    heap[b] = entry
  }
}

function isBefore<P extends QueuedSlice>(a: Entry<P>, b: Entry<P>): boolean {
  return a.piece.deadline < b.piece.deadline || (a.piece.deadline === b.piece.deadline && a.order < b.order)
}
