import type { StepScale } from './adam.ts'
import type { RowSums } from './row-sums.ts'

/** A table and what its optimiser keeps, in memory that all threads share; see `momentsOf`. */
export interface TableMemory {
  /** [rows, width] */
  values: Float32Array
  first: Float32Array
  second: Float32Array
}

/** Steps a thread's rows of a table. */
export interface TableUpdates {
  /** Sums over the rows that the step's batch reads. */
  readonly sums: RowSums
  /** Steps count from 1. */
  step(scale: StepScale, number: number): void
  /** Begins an epoch, after `steps` steps. */
  begin(steps: number): void
  /** Does what rows wait for that were not read recently. */
  end(scale: StepScale, steps: number): void
}
