import type { Clock } from '../../../base/clock.ts'
import type { Batch, CallListener, Outputs, Tenant } from '../../contracts/engine.ts'
import type { FairShare } from './fair-share.ts'

/* The requests, answers and events of a batcher. */

export interface BatchRequest {
  batch: Batch
  /** Outputs to answer, by name. */
  wanted: readonly string[]
  /** On the batcher's clock, ms. */
  deadline: number
  /** Whose request it is; undefined where there is only one tenant. */
  tenant?: Tenant | undefined
  /** Called once, when the request is settled and no engine reads the batch any more, which may be much later. */
  released?(): void
  /** Called when an engine begins a slice of the request, perhaps several times; `at` is on the batcher's clock, ms. */
  begun?: ((at: number, call: BatchCall) => void) | undefined
}

/** An engine call, as the requests see it whose slices it holds. */
export interface BatchCall {
  rows: number
  /** Slices of requests. */
  requests: number
  /**
   * Called once when it is over, before anyone who waits for its requests goes on; `at` is on the batcher's clock, ms.
   */
  onEnd: ((at: number) => void)[]
}

export interface Submission {
  /** Row i answers row i. Rejects with a ModelError. */
  outputs: Promise<Outputs>
  /** Rejects `outputs` with CANCELLED; rows that have not begun are not computed. */
  cancel(): void
}

export interface BatcherStats {
  queuedRows: number
  inFlightBatches: number
  /** Requests accepted and not settled. */
  requests: number
  /** Seconds until a request that arrived now would begin. */
  predictedWaitSeconds: number
}

/** Why a request was refused or given up: `quota`: its tenant has used up its share of the queue. */
export type ShedReason = 'queue_full' | 'predicted_wait' | 'deadline' | 'quota'

export type ReleaseReason = 'immediate' | 'idle' | 'ahead' | 'full' | 'delay' | 'drain' | 'isolated'

/** Receives events of a batcher; every method is optional and must not throw. */
export interface BatchObserver {
  released?(batch: { rows: number; requests: number; reason: ReleaseReason }): void
  /** A slice of a request waited this long for its engine. */
  waited?(seconds: number): void
  /** An engine call succeeded; `requests` counts slices of requests. */
  computed?(rows: number, seconds: number, requests: number): void
  /** A request was refused or expired. */
  shed?(reason: ShedReason): void
  cancelled?(stage: 'queue' | 'compute'): void
}

export interface BatcherOptions {
  /** Maximum rows of one engine call; larger requests are split. */
  maxBatchRows: number
  /** Maximum time that an idle engine waits for a fuller batch, ms; 0 disables waiting. */
  maxDelayMs: number
  /** Maximum rows in the queue. */
  maxQueueRows: number
  /** The engine's slots, shared with other models. */
  share: FairShare
  /** Runs one engine call. Unless `listener` is notified, the call begins immediately and lasts until it settles. */
  execute(batch: Batch, wanted: string[], listener: CallListener): Promise<Outputs>
  /** Whether each request of a batch is retried alone after this error. Default: always. */
  isolate?(error: unknown): boolean
  clock: Clock
  observer?: BatchObserver
}
