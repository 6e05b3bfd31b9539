import type { Adagrad, Table } from '../network/training-step.ts'
import type { StepScale } from './adam.ts'
import { epsilon, type RowDecay } from './row-decay.ts'
import type { RowSums } from './row-sums.ts'
import type { TableMemory, TableUpdates } from './table-updates.ts'

/**
 * Row-wise Adagrad (J. Duchi et al., Adaptive Subgradient Methods, JMLR 2011; one sum of squares a row as in FBGEMM's
 * tables): a row's steps become shorter the more it has learnt, so that frequent rows settle while rare ones still
 * move. `groups` of 1 keeps one sum for a row's numbers; one for each number where they have nothing in common.
 */
export class AdagradUpdates implements TableUpdates {
  readonly sums: RowSums
  readonly #table: Table & { adagrad: Adagrad }
  readonly #memory: TableMemory
  /** Undefined without a penalty. */
  readonly #decay: RowDecay | undefined

  constructor(table: Table & { adagrad: Adagrad }, memory: TableMemory, sums: RowSums, decay: RowDecay | undefined) {
    this.#table = table
    this.#memory = memory
    this.sums = sums
    this.#decay = decay
  }

  begin(): void {
    const { sums } = this
    if (this.#decay)
      for (let row = sums.thread; row < this.#table.rows; row += sums.threads)
        this.#memory.decayed[row] = this.#decay.elapsed
  }

  step({ factor }: StepScale): void {
    const { width, adagrad, l2 } = this.#table
    const { groups, rate } = adagrad
    const { values, second, decayed } = this.#memory
    const sums = this.sums.values
    const size = width / groups
    const decay = this.#decay
    for (let slot = 0; slot < this.sums.count; slot++) {
      const index = this.sums.rows[slot]!
      for (let group = 0; group < groups; group++) {
        const at = index * width + group * size
        const from = slot * width + group * size
        let squares = 0
        for (let j = 0; j < size; j++) squares += sums[from + j]! * sums[from + j]!
        const before = decay?.kept(index, group) ?? 1
        const total = second[index * groups + group]! + squares / size
        second[index * groups + group] = total
        const step = (factor * rate) / (Math.sqrt(total) + epsilon)
        const kept = decay && total > 0 ? before * Math.exp(-2 * l2 * step) : 1
        for (let j = 0; j < size; j++) values[at + j] = values[at + j]! * kept - step * sums[from + j]!
      }
      if (decay) decayed[index] = decay.elapsed + factor
    }
  }

  end(): void {
    if (this.#decay)
      for (let row = this.sums.thread; row < this.#table.rows; row += this.sums.threads) this.#decay.settle(row)
  }
}
