import type { Outputs } from '../../contracts/engine.ts'
import type { TenantSlice } from './fair-queue.ts'
import type { BatchRequest } from './submission.ts'
import { place, slice } from './tensors.ts'

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

/* The outputs of one engine call over slices of several requests. */

/** Every output that one of the requests wants, each once. */
export function wantedOutputs(slices: readonly JobSlice[]): string[] {
  const [first] = slices
  if (slices.every(({ job }) => job.request.wanted === first?.job.request.wanted))
    return [...(first?.job.request.wanted ?? [])]
  return [...new Set(slices.flatMap(({ job }) => job.request.wanted))]
}

/**
 * Gives each live request its rows of a call's outputs; calls `complete` for requests that have all their rows then.
 * Throws before any request receives rows if the outputs do not fit: then every slice can be retried.
 */
export function distribute(
  slices: readonly JobSlice[],
  outputs: Outputs,
  complete: (job: Job, outputs: Outputs) => void,
): void {
  const rows = countRows(slices)
  let row = 0
  const parts = slices.map(({ job, count }) => {
    const part = slice(outputs, job.request.wanted, rows, row, count)
    row += count
    return part
  })
  for (const [i, { job, start, count }] of slices.entries()) {
    if (job.settled) continue
    const all = job.add(parts[i]!, start, count)
    if (all !== undefined) complete(job, all)
  }
}

export function countRows(slices: readonly JobSlice[]): number {
  return slices.reduce((sum, { count }) => sum + count, 0)
}
