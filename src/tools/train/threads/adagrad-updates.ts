import type { Adagrad, Table } from '../network/training-step.ts'
import type { StepScale } from './adam.ts'
import type { RowSums } from './row-sums.ts'
import type { TableMemory, TableUpdates } from './table-updates.ts'

/** Added to the root of a sum of squares: a row's first step is at most the learning rate. */
const epsilon = 1e-8

/**
 * Row-wise Adagrad (J. Duchi et al., Adaptive Subgradient Methods, JMLR 2011; one sum of squares a row as in FBGEMM's
 * tables): a row's steps become shorter the more it has learnt, so that frequent rows settle while rare ones still
 * move. `groups` of 1 keeps one sum for a row's numbers; one for each number where they have nothing in common.
 *
 * A penalty on all rows is made up for when a row is next read, and at the end of an epoch: the same as if every step
 * had changed every row, at the cost of the rows that are read.
 */
export class AdagradUpdates implements TableUpdates {
  readonly sums: RowSums
  readonly #table: Table & { adagrad: Adagrad }
  readonly #memory: TableMemory
  /** Per row the last step whose penalty it has. */
  readonly #last: Int32Array

  constructor(table: Table & { adagrad: Adagrad }, memory: TableMemory, sums: RowSums) {
    this.#table = table
    this.#memory = memory
    this.sums = sums
    this.#last = new Int32Array(table.l2 > 0 ? table.rows : 0)
  }

  begin(steps: number): void {
    this.#last.fill(steps)
  }

  step({ factor }: StepScale, number: number): void {
    const { width, adagrad } = this.#table
    const { groups, rate } = adagrad
    const { values, second } = this.#memory
    const sums = this.sums.values
    const size = width / groups
    for (let slot = 0; slot < this.sums.count; slot++) {
      const index = this.sums.rows[slot]!
      this.#penalise(index, factor, number)
      for (let group = 0; group < groups; group++) {
        const at = index * width + group * size
        const from = slot * width + group * size
        let squares = 0
        for (let j = 0; j < size; j++) squares += sums[from + j]! * sums[from + j]!
        const total = second[index * groups + group]! + squares / size
        second[index * groups + group] = total
        const step = (factor * rate) / (Math.sqrt(total) + epsilon)
        for (let j = 0; j < size; j++) values[at + j] = values[at + j]! - step * sums[from + j]!
      }
    }
  }

  end({ factor }: StepScale, steps: number): void {
    if (this.#table.l2 === 0) return
    for (let row = this.sums.thread; row < this.#table.rows; row += this.sums.threads)
      this.#penalise(row, factor, steps)
  }

  /** The penalty of the steps since the row was last read, this one included. */
  #penalise(index: number, factor: number, number: number): void {
    const { width, l2, adagrad } = this.#table
    if (l2 === 0) return
    const missed = number - this.#last[index]!
    if (missed === 0) return
    this.#last[index] = number
    const { groups, rate } = adagrad
    const { values, second } = this.#memory
    const size = width / groups
    for (let group = 0; group < groups; group++) {
      const step = (factor * rate) / (Math.sqrt(second[index * groups + group]!) + epsilon)
      const kept = Math.exp(-2 * l2 * step * missed)
      const at = index * width + group * size
      for (let j = 0; j < size; j++) values[at + j] = values[at + j]! * kept
    }
  }
}
