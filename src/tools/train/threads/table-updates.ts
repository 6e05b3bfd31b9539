import type { Table } from '../network/training-step.ts'
import { adam, type StepScale } from './adam.ts'

/** A table and its moments, in memory that all threads share. */
export interface TableMemory {
  /** [rows, width] each. */
  values: Float32Array
  first: Float32Array
  second: Float32Array
}

/**
 * Sums the gradients of a table's rows that a step read, and steps those rows. A thread of several changes the rows
 * whose number leaves its own as the remainder, so that none is changed twice, and each sum has the same order always.
 *
 * Without a penalty, rows that no row of the batch reads keep their moments too, so that a step is as cheap as its
 * batch. A penalty is one on all rows, and steps all.
 */
export class TableUpdates {
  readonly #table: Table
  readonly #memory: TableMemory
  readonly #thread: number
  readonly #threads: number
  /** Per row the slot of its sum, valid where `#seen` has this step's number. */
  readonly #slots: Int32Array
  readonly #seen: Int32Array
  #rows = new Int32Array(1024)
  #sums: Float32Array
  #count = 0
  #round = 0

  constructor(table: Table, memory: TableMemory, thread: number, threads: number) {
    this.#table = table
    this.#memory = memory
    this.#thread = thread
    this.#threads = threads
    this.#slots = new Int32Array(table.rows)
    this.#seen = new Int32Array(table.rows)
    this.#sums = new Float32Array(this.#rows.length * table.width)
  }

  begin(): void {
    this.#round += 1
    this.#count = 0
  }

  /** `gradients`: [ids, width]. */
  add(ids: Int32Array, gradients: Float32Array): void {
    const { width } = this.#table
    for (let i = 0; i < ids.length; i++) {
      const row = ids[i]!
      if (this.#threads > 1 && row % this.#threads !== this.#thread) continue
      const from = i * width
      const sums = this.#sums
      if (this.#seen[row] === this.#round) {
        const to = this.#slots[row]! * width
        for (let j = 0; j < width; j++) sums[to + j] = sums[to + j]! + gradients[from + j]!
      } else {
        const slot = this.#newSlot(row)
        const to = slot * width
        const target = this.#sums
        for (let j = 0; j < width; j++) target[to + j] = gradients[from + j]!
      }
    }
  }

  step(scale: StepScale): void {
    if (this.#table.l2 === 0)
      for (let slot = 0; slot < this.#count; slot++) this.#stepRow(this.#rows[slot]!, slot, scale)
    else
      for (let row = this.#thread; row < this.#table.rows; row += this.#threads)
        this.#stepRow(row, this.#seen[row] === this.#round ? this.#slots[row]! : -1, scale)
  }

  /** `slot`: of the row's sum; −1: no row of the batch reads it. */
  #stepRow(index: number, slot: number, { rate, scale }: StepScale): void {
    const { width, l2 } = this.#table
    const { values, first, second } = this.#memory
    const [keep1, keep2] = [1 - adam.beta1, 1 - adam.beta2]
    const sums = this.#sums
    const row = index * width
    const from = slot * width
    for (let j = 0; j < width; j++) {
      const gradient = (slot < 0 ? 0 : sums[from + j]!) + 2 * l2 * values[row + j]!
      const m = first[row + j]! + (gradient - first[row + j]!) * keep1
      const v = second[row + j]! + (gradient * gradient - second[row + j]!) * keep2
      first[row + j] = m
      second[row + j] = v
      values[row + j] = values[row + j]! - (rate * m) / (Math.sqrt(v) * scale + adam.epsilon)
    }
  }

  #newSlot(row: number): number {
    const slot = this.#count++
    if (slot === this.#rows.length) {
      const rows = new Int32Array(slot * 2)
      rows.set(this.#rows)
      this.#rows = rows
      const sums = new Float32Array(slot * 2 * this.#table.width)
      sums.set(this.#sums)
      this.#sums = sums
    }
    this.#rows[slot] = row
    this.#slots[row] = slot
    this.#seen[row] = this.#round
    return slot
  }
}
