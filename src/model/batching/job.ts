import type { Outputs } from '../contracts/engine.ts'
import type { BatchRequest } from './contract.ts'
import type { TenantSlice } from './fair-queue.ts'
import { place } from './tensors.ts'

/** Consecutive rows of a request, to be computed by one engine call. */
export interface JobSlice extends TenantSlice {
  job: Job
}

/** A request, from submission until no engine reads its rows. */
export class Job {
  readonly request: BatchRequest
  /** On the batcher's clock, ms. */
  readonly submitted: number
  readonly outputs: Promise<Outputs>
  /** Slices and rows in the queue. */
  queuedSlices = 0
  queuedRows = 0
  settled = false
  /** Slices that an engine computes, or that wait to be retried alone. */
  #startedSlices = 0
  #missingRows: number
  #computed: Outputs | undefined
  #resolve: (outputs: Outputs) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined

  constructor(request: BatchRequest, submitted: number) {
    this.request = request
    this.submitted = submitted
    this.#missingRows = request.batch.rows
    this.outputs = new Promise<Outputs>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Where the request is. */
  get stage(): 'queue' | 'compute' {
    return this.queuedSlices > 0 ? 'queue' : 'compute'
  }

  /** All its rows in slices of at most `maxRows`, counted as queued. */
  enqueue(maxRows: number): JobSlice[] {
    const { batch, deadline } = this.request
    const tenant = this.request.tenant?.id
    const live = () => !this.settled
    const slices: JobSlice[] = []
    for (let start = 0; start < batch.rows; start += maxRows)
      slices.push({ job: this, batch, start, count: Math.min(maxRows, batch.rows - start), deadline, tenant, live })
    this.queuedSlices = slices.length
    this.queuedRows = batch.rows
    return slices
  }

  /** `rows` rows have left the queue; `isWholeSlice` unless the rest of their slice is still queued. */
  start(rows: number, isWholeSlice: boolean): void {
    this.queuedRows -= rows
    if (isWholeSlice) this.queuedSlices--
    this.#startedSlices++
  }

  /** Adds the outputs of one slice; returns all outputs once none is missing. */
  add(part: Outputs, start: number, count: number): Outputs | undefined {
    const { rows } = this.request.batch
    this.#missingRows -= count
    this.#computed = count === rows ? part : place(this.#computed, part, rows, start, count)
    return this.#missingRows === 0 ? this.#computed : undefined
  }

  /** No engine reads this slice any more. */
  finishSlice(): void {
    this.#startedSlices--
    if (this.settled) this.#releaseIfUnread()
  }

  /** Settles the request; `outcome` says how. Returns the slices and rows that were queued. */
  settle(outcome: { outputs: Outputs } | { error: unknown }): { slices: number; rows: number } {
    const queued = { slices: this.queuedSlices, rows: this.queuedRows }
    this.settled = true
    this.queuedSlices = 0
    this.queuedRows = 0
    this.#releaseIfUnread()
    if ('outputs' in outcome) this.#resolve(outcome.outputs)
    else this.#reject(outcome.error)
    return queued
  }

  #releaseIfUnread(): void {
    if (this.#startedSlices === 0) this.request.released?.()
  }
}
