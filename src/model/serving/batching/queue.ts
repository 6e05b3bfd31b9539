import TinyQueue from 'tinyqueue'
import type { Clock } from '../../../base/clock.ts'
import type { BatchSlice } from './tensors.ts'

/** Queued rows of a request; `live()` is false once the request has been settled. */
export interface QueuedSlice extends BatchSlice {
  /** Milliseconds. The earliest is first; equal deadlines are first in, first out. */
  deadline: number
  live(): boolean
}

interface Entry<S> {
  slice: S
  order: number
}

/**
 * Earliest deadline first. Slices of settled requests stay until they reach the head or outnumber the live ones, so
 * that settling is cheap and memory stays proportional to the live slices.
 */
export class DeadlineQueue<S extends QueuedSlice> {
  #heap = new TinyQueue<Entry<S>>([], compare)
  #order = 0
  #rows = 0
  #slices = 0

  /** Rows of live slices. */
  get rows(): number {
    return this.#rows
  }

  /** Live slices. */
  get slices(): number {
    return this.#slices
  }

  /** The first live slice; drops settled ones before it. */
  peek(): S | undefined {
    for (;;) {
      const first = this.#heap.peek()
      if (first === undefined || first.slice.live()) return first?.slice
      this.#heap.pop()
    }
  }

  push(slice: S): void {
    this.#rows += slice.count
    this.#slices++
    this.#heap.push({ slice, order: this.#order++ })
  }

  /** Takes the first live slice. */
  shift(): S | undefined {
    const slice = this.peek()
    if (slice === undefined) return undefined
    this.#rows -= slice.count
    this.#slices--
    this.#heap.pop()
    return slice
  }

  /** Takes at most `count` rows of the first live slice; its other rows stay first. */
  shiftRows(count: number): S | undefined {
    const slice = this.peek()
    if (slice === undefined || slice.count <= count) return this.shift()
    const taken = { ...slice, count }
    slice.start += count
    slice.count -= count
    this.#rows -= count
    return taken
  }

  /** Stops counting `slices` queued slices, `rows` rows in all, whose request has been settled. */
  forget(slices: number, rows: number): void {
    this.#rows -= rows
    this.#slices -= slices
    const dead = this.#heap.length - this.#slices
    if (dead <= 64 || dead * 2 <= this.#heap.length) return
    this.#heap = new TinyQueue(
      this.#heap.data.filter(({ slice }) => slice.live()),
      compare,
    )
  }
}

function compare(a: Entry<QueuedSlice>, b: Entry<QueuedSlice>): number {
  return a.slice.deadline - b.slice.deadline || a.order - b.order
}

/** One timer for many deadlines, set to the earliest. */
export interface ExpiryTimer {
  /** Ensures that the timer fires at this time or earlier. */
  include(deadline: number): void
  cancel(): void
}

/** `onDue` settles expired requests and returns the next deadline, or infinity if there is none. */
export function createExpiryTimer(clock: Clock, onDue: (now: number) => number): ExpiryTimer {
  let next = Number.POSITIVE_INFINITY
  let stop: (() => void) | undefined

  function cancel(): void {
    stop?.()
    stop = undefined
    next = Number.POSITIVE_INFINITY
  }

  function include(deadline: number): void {
    if (deadline >= next) return
    cancel()
    next = deadline
    stop = clock.after(deadline - clock.now(), () => {
      cancel()
      include(onDue(clock.now()))
    })
  }

  return { include, cancel }
}
