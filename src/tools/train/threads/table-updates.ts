import type { StepScale } from './adam.ts'
import type { RowSums } from './row-sums.ts'

/** A table and what its optimiser keeps; see `momentsOf`. */
export interface TableState {
  /** [rows, width] */
  values: Float32Array
  first: Float32Array
  second: Float32Array
}

/** In memory that all threads share. */
export interface TableMemory extends TableState {
  /** Per row, up to where it has its penalty: see RowDecay. Empty where none waits. */
  decayed: Float64Array
}

/** Steps a thread's rows of a table. */
export interface TableUpdates {
  /** Sums over the rows that the step's batch reads. */
  readonly sums: RowSums
  step(scale: StepScale): void
  /** Begins an epoch. */
  begin(): void
  /** Does what rows wait for that were not read recently. */
  end(): void
}
