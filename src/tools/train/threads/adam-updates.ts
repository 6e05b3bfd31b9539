import type { Table } from '../network/training-step.ts'
import { adam, type StepScale } from './adam.ts'
import type { RowSums } from './row-sums.ts'
import type { TableMemory, TableUpdates } from './table-updates.ts'

/**
 * Adam. Without a penalty, rows that no row of the batch reads keep their moments too, so that a step is as cheap as
 * its batch. A penalty is one on all rows but those of padding, and steps all of them.
 */
export class AdamUpdates implements TableUpdates {
  readonly sums: RowSums
  readonly #table: Table
  readonly #memory: TableMemory
  /** Per row 1 where it is padding; undefined where none is. */
  readonly #padding: Uint8Array | undefined

  constructor(table: Table, memory: TableMemory, sums: RowSums) {
    this.#table = table
    this.#memory = memory
    this.sums = sums
    this.#padding = marksOf(table)
  }

  step(scale: StepScale): void {
    const { rows, values, count } = this.sums
    if (this.#table.l2 === 0) for (let slot = 0; slot < count; slot++) this.#stepRow(rows[slot]!, values, slot, scale)
    else
      for (let row = this.sums.thread; row < this.#table.rows; row += this.sums.threads)
        if (this.#padding?.[row] !== 1) this.#stepRow(row, values, this.sums.slotOf(row), scale)
  }

  begin(): void {}

  end(): void {}

  /** `slot`: of the row's sum; −1: no row of the batch reads it. */
  #stepRow(index: number, sums: Float32Array, slot: number, { rate, scale }: StepScale): void {
    const { width, l2 } = this.#table
    const { values, first, second } = this.#memory
    const [keep1, keep2] = [1 - adam.beta1, 1 - adam.beta2]
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
}

function marksOf({ rows, padding = [] }: Table): Uint8Array | undefined {
  if (padding.length === 0) return undefined
  const marks = new Uint8Array(rows)
  for (const row of padding) marks[row] = 1
  return marks
}
