import type { Adagrad, Table } from '../network/training-step.ts'
import type { TableMemory } from './table-updates.ts'

/** Added to the root of a sum of squares: a row's first step is at most the learning rate. */
export const epsilon = 1e-8

/**
 * The penalty on the rows of a table that Adagrad steps. It is one on all rows in each step, but a row has it only when
 * it is next read, by `settle`, or by `kept` where another thread may read the same row, and at the end of an epoch.
 *
 * A row has the penalty from its first step on: before, its learning rate has no measure.
 */
export class RowDecay {
  readonly #table: PenalisedTable
  readonly #memory: Omit<TableMemory, 'first'>
  /** Σ of the schedule's factors of all steps so far. */
  elapsed = 0

  constructor(table: PenalisedTable, memory: Omit<TableMemory, 'first'>) {
    this.#table = table
    this.#memory = memory
  }

  /** The share that is left of the stored numbers of a row's group. */
  kept(row: number, group: number): number {
    const { l2, adagrad } = this.#table
    const missed = this.elapsed - this.#memory.decayed[row]!
    if (missed === 0) return 1
    const squares = this.#memory.second[row * adagrad.groups + group]!
    return squares === 0 ? 1 : Math.exp((-2 * l2 * adagrad.rate * missed) / (Math.sqrt(squares) + epsilon))
  }

  /** Changes the stored row. */
  settle(row: number): void {
    const { values, decayed } = this.#memory
    if (decayed[row] === this.elapsed) return
    const { width, adagrad } = this.#table
    const size = width / adagrad.groups
    for (let group = 0; group < adagrad.groups; group++) {
      const kept = this.kept(row, group)
      const at = row * width + group * size
      for (let j = at; j < at + size; j++) values[j] = values[j]! * kept
    }
    decayed[row] = this.elapsed
  }

  /** Multiplies copies of rows, [ids, width], with what is kept of them. */
  decay(ids: Int32Array, copies: Float32Array): void {
    const { width, adagrad } = this.#table
    const size = width / adagrad.groups
    for (let i = 0; i < ids.length; i++)
      for (let group = 0; group < adagrad.groups; group++) {
        const kept = this.kept(ids[i]!, group)
        if (kept === 1) continue
        const from = i * width + group * size
        for (let j = from; j < from + size; j++) copies[j] = copies[j]! * kept
      }
  }
}

type PenalisedTable = Pick<Table, 'width' | 'l2'> & { adagrad: Adagrad }

/** Undefined where no penalty waits for a row to be read. */
export function rowDecayOf(table: Table, memory: TableMemory): RowDecay | undefined {
  return isDecayed(table) ? new RowDecay(table, memory) : undefined
}

export function isDecayed(table: Table): table is Table & { adagrad: Adagrad } {
  return table.trained && table.adagrad !== undefined && table.l2 > 0
}
