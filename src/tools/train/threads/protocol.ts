import type { CrossedColumn } from '../../../model/serving/features/crossed.ts'
import type { PackedRows } from '../../data/packed-rows.ts'
import type { TrainingStep } from '../network/training-step.ts'
import type { TermLabels } from '../terms.ts'
import type { Rates } from './adam.ts'
import type { TableMemory } from './table-updates.ts'

/** Rows in memory that all threads share. */
export type SharedRows = PackedRows

/** Training rows, and what they know of each term of the loss. */
export interface SharedExamples extends SharedRows {
  terms: TermLabels[]
}

/** The data that every thread is given once. */
export interface ThreadSetup {
  plan: TrainingStep
  thread: number
  threads: number
  tables: TableMemory[]
  /** The initial values of parameters and statistics, `plan.size` floats. */
  weights: Float32Array
  examples: SharedExamples
  /** Weight of each term. */
  termWeights: number[]
  /** A term's mean is over all rows of a step, not only those that count for it. */
  rowMean?: boolean | undefined
  /** Most rows of a step. */
  largestStep: number
  rates: Rates
  seed: number
  /** Values of vocabulary and integer fields that count as unknown. */
  unknown: { share: number; ids: Int32Array; crossed?: readonly CrossedColumn[] }
  shared: SharedState
}

/** Gradients of the rows that a thread looked up: indexes, and a row of gradients for each. */
export interface RowGradients {
  ids: Int32Array
  gradients: Float32Array
}

/** Memory in which threads meet. */
export interface SharedState {
  /** Whether threads compute: see shared.ts. */
  activity: Int32Array
  /** The barrier's. */
  barrier: Int32Array
  /** The loss of each thread's part of the step. */
  losses: Float64Array
  /** Steps and rows of this epoch so far, and the sum of their losses × rows. */
  progress: Float64Array
  /** Each thread's gradients and statistics, `plan.size` floats; empty for one thread. */
  gradients: Float32Array[]
  /** The indexes and gradients of the rows of each thread and look-up; empty for one thread. */
  rows: RowGradients[][]
  /** The number of indexes of each thread and look-up. */
  counts: Int32Array[]
  /** The epoch's order of training rows. */
  order: Int32Array
}

/** Rows `start` to `end` of the order. */
export interface StepBounds {
  start: number
  end: number
}

export type ThreadRequest =
  | { kind: 'epoch'; epoch: number; bounds: StepBounds[]; stepsBefore: number }
  | { kind: 'logits'; rows: SharedRows; start: number; end: number; logits: Float32Array }
  | { kind: 'read' }
  | { kind: 'write'; weights: Float32Array; first: Float32Array; second: Float32Array }

export type ThreadAnswer =
  | { kind: 'ready' }
  /** `failed`: index of the step whose loss is no number; undefined where all were taken. */
  | { kind: 'epoch'; failed: number | undefined }
  | { kind: 'done' }
  | { kind: 'weights'; weights: Float32Array; first: Float32Array; second: Float32Array }
  | { kind: 'error'; message: string; code: string | undefined }
