import type { Outputs } from '../contracts/engine.ts'
import type { BatchRequest } from './contract.ts'
import type { QueuedSlice } from './queue.ts'

/** A request under way. */
export interface Job {
  request: BatchRequest
  resolve(outputs: Outputs): void
  reject(error: unknown): void
  submitted: number
  settled: boolean
  /** Pieces and rows still in the queue. */
  queuedPieces: number
  queuedRows: number
  /** Pieces that an engine computes, or that wait to be tried alone. */
  startedPieces: number
  /** Rows without outputs yet. */
  missingRows: number
  outputs: Outputs | undefined
}

export interface JobPiece extends QueuedSlice {
  job: Job
}
