import type { Table } from '../network/training-step.ts'

/**
 * The sums of the gradients of a table's rows that a step read. A thread of several sums the rows whose number leaves
 * its own as the remainder, so that none is changed twice, and each sum has the same order always.
 */
export class RowSums {
  readonly #table: Pick<Table, 'width'>
  readonly thread: number
  readonly threads: number
  /** Per row the slot of its sum, valid where `#seen` has this step's number. */
  readonly #slots: Int32Array
  readonly #seen: Int32Array
  #round = 0
  /** Rows of the slots, `count` of them. */
  rows = new Int32Array(1024)
  /** [slots, width] */
  values: Float32Array
  count = 0

  constructor(table: Pick<Table, 'rows' | 'width'>, thread: number, threads: number) {
    this.#table = table
    this.thread = thread
    this.threads = threads
    this.#slots = new Int32Array(table.rows)
    this.#seen = new Int32Array(table.rows)
    this.values = new Float32Array(this.rows.length * table.width)
  }

  begin(): void {
    this.#round += 1
    this.count = 0
  }

  /** `gradients`: [ids, width]; those of `padding` don't count. */
  add(ids: Int32Array, gradients: Float32Array, padding?: number): void {
    const { width } = this.#table
    for (let i = 0; i < ids.length; i++) {
      const row = ids[i]!
      if (row === padding) continue
      if (this.threads > 1 && row % this.threads !== this.thread) continue
      const from = i * width
      const sums = this.values
      if (this.#seen[row] === this.#round) {
        const to = this.#slots[row]! * width
        for (let j = 0; j < width; j++) sums[to + j] = sums[to + j]! + gradients[from + j]!
      } else {
        const slot = this.#newSlot(row)
        const to = slot * width
        const target = this.values
        for (let j = 0; j < width; j++) target[to + j] = gradients[from + j]!
      }
    }
  }

  /** The slot of a row; −1: no row of the batch reads it. */
  slotOf(row: number): number {
    return this.#seen[row] === this.#round ? this.#slots[row]! : -1
  }

  #newSlot(row: number): number {
    const slot = this.count++
    if (slot === this.rows.length) {
      const rows = new Int32Array(slot * 2)
      rows.set(this.rows)
      this.rows = rows
      const sums = new Float32Array(slot * 2 * this.#table.width)
      sums.set(this.values)
      this.values = sums
    }
    this.rows[slot] = row
    this.#slots[row] = slot
    this.#seen[row] = this.#round
    return slot
  }
}
