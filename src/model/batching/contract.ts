import type { Clock } from '../base/clock.ts'
import type { Batch, CallListener, Outputs } from '../contracts/engine.ts'
import type { FairShare } from './fair-share.ts'

/* What a batcher takes, gives, and tells. */

export interface BatchRequest {
  batch: Batch
  /** Outputs to answer, by name. */
  wanted: readonly string[]
  /** When the answer is of no use any more, on the batcher's clock, ms. */
  deadline: number
  /** Called once, when no engine reads the batch any more: not before the request is settled, but maybe long after. */
  released?(): void
  /** Rows of it have begun to be computed, at this moment on the batcher's clock, ms; perhaps several times. */
  begun?: ((at: number) => void) | undefined
}

export interface Submission {
  /** Row i answers row i. Rejects with a ModelError. */
  outputs: Promise<Outputs>
  /** Gives the request up: rejects with CANCELLED, and what has not begun is never computed. */
  cancel(): void
}

export interface BatcherStats {
  queuedRows: number
  inFlightBatches: number
  /** Requests accepted and not settled. */
  requests: number
  /** When a request that arrived now would begin, seconds from now. */
  predictedWaitSeconds: number
}

export type ReleaseReason = 'idle' | 'ahead' | 'full' | 'delay' | 'drain' | 'isolated'

/** Hears what the batcher does; every method is optional, and must not throw. */
export interface BatchObserver {
  released?(batch: { rows: number; requests: number; reason: ReleaseReason }): void
  /** A request, or a part of it, waited so long for its engine. */
  waited?(seconds: number): void
  /** An engine call over so many rows, of so many requests or parts of them, took so long. */
  computed?(rows: number, seconds: number, requests: number): void
  /** A request was refused, or gave up waiting. */
  shed?(reason: 'queue_full' | 'predicted_wait' | 'deadline'): void
  cancelled?(stage: 'queue' | 'compute'): void
}

export interface BatcherOptions {
  /** Most rows of one engine call; larger requests are split. */
  maxBatchRows: number
  /** How long an idle engine may wait for a fuller batch, ms; 0 never waits. */
  maxDelayMs: number
  /** Most rows waiting. */
  maxQueueRows: number
  /** The engine's slots, and whom they are shared with. */
  share: FairShare
  /** Runs one engine call. If `listener` hears nothing, it begins at once, and takes until it is answered. */
  execute(batch: Batch, wanted: string[], listener: CallListener): Promise<Outputs>
  /** Whether, after this error of a batch of several requests, each is tried alone. Default: always. */
  isolate?(error: unknown): boolean
  clock: Clock
  observer?: BatchObserver
}
