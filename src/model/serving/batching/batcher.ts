import type { Clock } from '../../../base/clock.ts'
import { ModelError } from '../../../base/errors.ts'
import type { Batch, Outputs } from '../../contracts/engine.ts'
import { FairQueue } from './fair-queue.ts'
import type { ModelSlots } from './fair-share.ts'
import { Forecast } from './forecast.ts'
import { computeNow, type ImmediateRequest } from './immediate.ts'
import { countRows, distribute, Job, type JobSlice, wantedOutputs } from './job.ts'
import { createExpiryTimer, type ExpiryTimer } from './queue.ts'
import { type AskedRows, draining, expired, modelFailed, refused, shedReason } from './refusal.ts'
import type { BatchCall, BatcherOptions, BatcherStats, BatchRequest, ReleaseReason, Submission } from './submission.ts'
import { concatenate } from './tensors.ts'

/**
 * Batches the rows of many requests into engine calls.
 *
 * The limit of a batch is in rows, not requests. An idle engine never waits (but see `maxDelayMs`); while all engines
 * are busy, requests queue. Once a larger batch would hardly be cheaper per row, the next call is handed to a busy
 * engine ahead of time (see FairShare). Tenants take turns, and of a tenant the earliest deadline goes first. A request
 * stays in one call unless it exceeds the batch limit or is faster on several idle slots; then it is split, and its
 * outputs are put together again. A request that finds the queue full, or that recent call times say cannot meet its
 * deadline, is rejected immediately. Expired and cancelled requests are not computed. When a call throws, its requests
 * are retried one by one, so that only the cause fails.
 *
 * `close()` drains: it refuses new requests and resolves when all others are settled and no engine is busy.
 * `destroy(error)` rejects all requests. Both are idempotent.
 */
export class Batcher {
  readonly #options: BatcherOptions
  readonly #clock: Clock
  readonly #slots: ModelSlots
  readonly #forecast: Forecast
  readonly #queue = new FairQueue<JobSlice>()
  readonly #retries: JobSlice[] = []
  readonly #jobs = new Set<Job>()
  #pumpPlanned = false
  #cancelDelay: (() => void) | undefined
  readonly #expiry: ExpiryTimer
  #closing = false
  #closed: Promise<void> | undefined
  #onIdle: (() => void) | undefined

  constructor(options: BatcherOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#forecast = new Forecast({ ...options, slots: options.share.slots })
    this.#expiry = createExpiryTimer(options.clock, (now) => this.#expireUntil(now))
    this.#slots = options.share.join({
      hasAny: () => this.#jobs.size + this.#retries.length + this.#forecast.calls > 0,
      ready: (ahead) => (ahead ? this.#isReadyAhead() : this.#isReady()),
      start: (ahead) => this.#start(ahead),
      backlog: (tenant) => {
        const { rows, slices } = tenant === undefined ? this.#queue : this.#queue.ahead(tenant, 1)
        return this.#forecast.ofBacklog(rows, slices)
      },
      inFlight: () => this.#forecast.left(),
    })
  }

  submit(request: BatchRequest): Submission {
    const { maxBatchRows } = this.#options
    const { rows } = request.batch
    const now = this.#clock.now()
    if (!Number.isInteger(rows) || rows < 1) throw new RangeError(`a request has at least one row, not ${rows}`)
    const refusal = this.refusal(request, now)
    if (refusal !== undefined) {
      request.released?.()
      return refused(refusal)
    }
    const job = new Job(request, now)
    this.#jobs.add(job)
    this.#slots.wake()
    for (const slice of job.enqueue(maxBatchRows)) this.#queue.push(slice)
    this.#expiry.include(request.deadline)
    // A full batch need not wait for other arrivals of this turn of the event loop.
    if (this.#queue.rows >= maxBatchRows && this.#slots.free() > 0) this.#slots.pump()
    else this.#planPump()
    return { outputs: job.outputs, cancel: () => this.#cancel(job) }
  }

  /**
   * Computes a request in this thread, ahead of all that is queued; `now`: on the clock, ms. Throws what `submit`
   * rejects with.
   */
  computeNow(request: ImmediateRequest, now: number, compute: (batch: Batch) => Outputs): Outputs {
    if (this.#closing) throw draining()
    return computeNow(request, now, compute, this.#options)
  }

  /** Feeds the cost model a measured call, so that it predicts well from the first request on (warm-up). */
  seed(rows: number, requests: number, seconds: number): void {
    this.#forecast.observe(rows, requests, seconds)
  }

  /** Seconds that a request of `rows` rows adds to a call, predicted from recent calls. */
  predictedSeconds(rows: number): number {
    return this.#forecast.ofRequest(rows)
  }

  stats(): BatcherStats {
    return {
      queuedRows: this.#queue.rows,
      inFlightBatches: this.#forecast.calls,
      requests: this.#jobs.size,
      predictedWaitSeconds: this.#slots.predictedWait(),
    }
  }

  close(): Promise<void> {
    this.#closing = true
    this.#closed ??= new Promise((resolve) => {
      this.#onIdle = resolve
      this.#closeIfIdle()
    })
    this.#planPump()
    return this.#closed
  }

  destroy(error: unknown): void {
    this.#closing = true
    for (const job of this.#jobs) this.#fail(job, error)
    this.#closeIfIdle()
  }

  /** The error that `submit` would reject such a request with, if any; it counts as refused. */
  refusal(request: AskedRows, now = this.#clock.now()): ModelError | undefined {
    if (this.#closing) return draining()
    const parts = { queue: this.#queue, slots: this.#slots, forecast: this.#forecast }
    const reason = shedReason(request, request.deadline - now, parts, this.#options)
    if (reason === undefined) return undefined
    this.#options.observer?.shed?.(reason.code)
    return reason.error
  }

  /** Starts calls at the end of this turn of the event loop, when all its arrivals are queued. */
  #planPump(): void {
    if (this.#pumpPlanned) return
    if (this.#slots.free() === 0 && !(this.#slots.mayStartAhead() && this.#fillsCall())) return
    this.#pumpPlanned = true
    this.#clock.soon(() => {
      this.#pumpPlanned = false
      this.#slots.pump()
    })
  }

  #isReady(): boolean {
    while (this.#retries.length > 0) {
      if (this.#retries[0]!.live()) return true
      this.#retries.shift()!.job.finishSlice()
    }
    this.#dropExpired()
    const first = this.#queue.peek()
    return first !== undefined && this.#releaseReason() !== undefined
  }

  #isReadyAhead(): boolean {
    // A retry waits for an idle engine: it may be what breaks one.
    return this.#retries.length === 0 && this.#isReady() && this.#fillsCall()
  }

  #fillsCall(): boolean {
    return this.#forecast.fillsCall(this.#queue.rows, this.#queue.slices)
  }

  #start(ahead: boolean): void {
    const retry = this.#retries.shift()
    if (retry !== undefined) {
      this.#run([retry], 'isolated', false)
      return
    }
    const reason = this.#releaseReason()!
    this.#run(this.#take(), ahead && reason === 'idle' ? 'ahead' : reason, ahead)
  }

  /** Why a batch starts now; undefined if it should wait (a timer then checks again). */
  #releaseReason(): ReleaseReason | undefined {
    const { maxDelayMs, maxBatchRows } = this.#options
    if (this.#queue.rows >= maxBatchRows) return 'full'
    if (this.#closing) return 'drain'
    if (maxDelayMs === 0) return 'idle'
    const wait = this.#oldestQueued() + maxDelayMs - this.#clock.now()
    if (wait <= 0) return 'delay'
    this.#cancelDelay ??= this.#clock.after(wait, () => {
      this.#cancelDelay = undefined
      this.#slots.pump()
    })
    return undefined
  }

  #oldestQueued(): number {
    for (const job of this.#jobs) if (job.queuedSlices > 0) return job.submitted
    return Number.POSITIVE_INFINITY
  }

  /** Takes the next batch out of the queue. */
  #take(): JobSlice[] {
    const limit = this.#forecast.batchLimit(this.#queue.rows, this.#queue.slices, this.#slots.free() + 1)
    const slices: JobSlice[] = []
    let rows = 0
    for (;;) {
      const next = this.#queue.peek()
      if (next === undefined || (rows > 0 && rows + next.count > limit)) return slices
      const taken = this.#queue.shiftRows(limit)!
      taken.job.start(taken.count, taken === next)
      slices.push(taken)
      rows += taken.count
      this.#dropExpired()
    }
  }

  /** Settles expired requests at the head of the queue, which the timer has not reached yet. */
  #dropExpired(): void {
    const now = this.#clock.now()
    for (;;) {
      const next = this.#queue.peek()
      if (next === undefined || next.deadline > now) return
      this.#expire(next.job)
    }
  }

  async #run(slices: JobSlice[], reason: ReleaseReason, ahead: boolean): Promise<void> {
    const { observer } = this.#options
    const rows = countRows(slices)
    const call = this.#forecast.hand(rows, slices.length)
    observer?.released?.({ rows, requests: slices.length, reason })
    const seen: BatchCall = { rows, requests: slices.length, onEnd: [] }
    const begun = () => {
      if (call.begun) return
      this.#forecast.begin(call)
      if (reason === 'isolated') return
      for (const { job } of slices) {
        observer?.waited?.((call.started - job.submitted) / 1000)
        job.request.begun?.(call.started, seen)
      }
    }
    if (!ahead) begun()
    let finished: readonly JobSlice[] = slices
    try {
      const outputs = await this.#options.execute(concatenate(slices), wantedOutputs(slices), {
        begun,
        took: (seconds) => {
          call.took = seconds
        },
      })
      begun()
      const seconds = this.#forecast.took(call)
      this.#forecast.observe(rows, slices.length, seconds)
      observer?.computed?.(rows, seconds, slices.length)
      distribute(slices, outputs, (job, all) => this.#settle(job, { outputs: all }))
    } catch (error) {
      finished = this.#handleFailure(slices, error)
    } finally {
      for (const onEnd of seen.onEnd) onEnd(this.#clock.now())
      for (const { job } of finished) job.finishSlice()
      this.#forecast.end(call)
      this.#slots.release(this.#forecast.took(call))
      this.#closeIfIdle()
    }
  }

  /**
   * Rejects the call's requests, or puts its slices aside to be retried alone; returns the slices that are finished.
   */
  #handleFailure(slices: JobSlice[], error: unknown): readonly JobSlice[] {
    const retry = slices.length > 1 && (this.#options.isolate?.(error) ?? true)
    if (!retry) {
      for (const { job } of slices) this.#fail(job, modelFailed(error))
      return slices
    }
    this.#retries.push(...slices)
    return []
  }

  #cancel(job: Job): void {
    if (job.settled) return
    this.#options.observer?.cancelled?.(job.stage)
    this.#fail(job, new ModelError('CANCELLED', 'The request was cancelled'))
    this.#closeIfIdle()
  }

  #fail(job: Job, error: unknown): void {
    if (!job.settled) this.#settle(job, { error })
  }

  #settle(job: Job, outcome: Parameters<Job['settle']>[0]): void {
    this.#jobs.delete(job)
    const { slices, rows } = job.settle(outcome)
    if (slices > 0) this.#queue.forget(job.request.tenant?.id, slices, rows)
  }

  #expire(job: Job): void {
    this.#options.observer?.shed?.('deadline')
    this.#fail(job, expired(job.stage))
  }

  /** Settles expired requests; returns the next deadline. */
  #expireUntil(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const job of this.#jobs) {
      if (job.request.deadline <= now) this.#expire(job)
      else next = Math.min(next, job.request.deadline)
    }
    this.#closeIfIdle()
    return next
  }

  #closeIfIdle(): void {
    if (!this.#closing || this.#jobs.size > 0 || this.#forecast.calls > 0) return
    // Their requests were settled before a slot was free.
    for (const { job } of this.#retries.splice(0)) job.finishSlice()
    this.#slots.leave()
    this.#expiry.cancel()
    this.#cancelDelay?.()
    this.#onIdle?.()
  }
}
