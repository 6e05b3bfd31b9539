import type { Clock } from '../base/clock.ts'
import { ModelError } from '../base/errors.ts'
import type { Outputs } from '../contracts/engine.ts'
import type { BatcherOptions, BatcherStats, BatchRequest, ReleaseReason, Submission } from './contract.ts'
import { createExpiryTimer, type ExpiryTimer } from './expiry-timer.ts'
import type { FairModelShare } from './fair-share.ts'
import { Forecast } from './forecast.ts'
import type { Job, JobPiece } from './job.ts'
import { DeadlineQueue } from './queue.ts'
import { expired, modelFailed, queueFull, refused } from './refusal.ts'
import { join, place, slice } from './tensors.ts'

/**
 * Gathers the rows of many requests into engine calls.
 *
 * Counts rows, not requests. An idle engine never waits (but see `maxDelayMs`); while all are busy, arrivals gather. Where
 * that makes rows no cheaper any more, a call is handed to a busy engine ahead of time (FairShare), to be its next.
 * The earliest deadline is served first, and each request is kept whole in one call unless it is larger than the batch
 * limit, or slots are idle that make it faster: then it is split, and put together again. What finds the queue full, or
 * can't be computed before its deadline by what calls have taken lately, is rejected at once. Expired and cancelled
 * requests are never computed. When a call throws, its requests are tried one by one, so that only the culprit fails.
 *
 * `close()` drains: it refuses new requests, and resolves when the last has been settled and no engine is busy.
 * `destroy(error)` rejects all that is under way. Both are idempotent.
 */
export class Batcher {
  readonly #options: BatcherOptions
  readonly #clock: Clock
  readonly #share: FairModelShare
  readonly #forecast: Forecast
  readonly #queue = new DeadlineQueue<JobPiece>()
  readonly #retries: JobPiece[] = []
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
    this.#share = options.share.join({
      ready: (ahead) => (ahead ? this.#isReadyAhead() : this.#isReady()),
      start: (ahead) => this.#start(ahead),
      backlog: () => this.#forecast.ofBacklog(this.#queue.rows, this.#queue.pieces),
      underWay: () => this.#forecast.left(),
    })
  }

  submit(request: BatchRequest): Submission {
    const { maxBatchRows } = this.#options
    const { batch, deadline } = request
    const { rows } = batch
    const now = this.#clock.now()
    if (!Number.isInteger(rows) || rows < 1) throw new RangeError(`a request has at least one row, not ${rows}`)
    const refusal = this.#refusal(request, now)
    if (refusal !== undefined) {
      request.released?.()
      return refused(refusal)
    }
    const job: Job = {
      request,
      resolve: () => undefined,
      reject: () => undefined,
      submitted: now,
      settled: false,
      queuedPieces: 0,
      queuedRows: 0,
      startedPieces: 0,
      missingRows: rows,
      outputs: undefined,
    }
    const outputs = new Promise<Outputs>((resolve, reject) => {
      job.resolve = resolve
      job.reject = reject
    })
    this.#jobs.add(job)
    const live = () => !job.settled
    for (let start = 0; start < rows; start += maxBatchRows) {
      const count = Math.min(maxBatchRows, rows - start)
      this.#queue.push({ job, batch, start, count, deadline, live })
      job.queuedPieces++
      job.queuedRows += count
    }
    this.#expiry.include(deadline)
    // A full batch need not wait for what else arrives at this moment.
    if (this.#queue.rows >= maxBatchRows && this.#share.free() > 0) this.#share.pump()
    else this.#planPump()
    return { outputs, cancel: () => this.#cancel(job) }
  }

  /** Tells the cost model what a call took, so that it predicts well from the first request on (warm-up). */
  seed(rows: number, requests: number, seconds: number): void {
    this.#forecast.observe(rows, requests, seconds)
  }

  /** Seconds that a request of so many rows takes beside others, by what calls have taken lately. */
  predict(rows: number): number {
    return this.#forecast.ofRequest(rows)
  }

  stats(): BatcherStats {
    return {
      queuedRows: this.#queue.rows,
      inFlightBatches: this.#forecast.calls,
      requests: this.#jobs.size,
      predictedWaitSeconds: this.#share.predictedWait(),
    }
  }

  close(): Promise<void> {
    this.#closing = true
    this.#closed ??= new Promise((resolve) => {
      this.#onIdle = resolve
      this.#settleIfIdle()
    })
    this.#planPump()
    return this.#closed
  }

  destroy(error: unknown): void {
    this.#closing = true
    for (const job of this.#jobs) this.#fail(job, error)
    this.#settleIfIdle()
  }

  /** Why a request can't be taken, if so. */
  #refusal({ batch: { rows }, deadline }: BatchRequest, now: number): ModelError | undefined {
    const { observer, maxQueueRows } = this.#options
    if (this.#closing) return new ModelError('DRAINING', 'The model takes no new requests: it is being closed')
    if (deadline <= now) {
      observer?.shed?.('deadline')
      return expired('queue')
    }
    // While nothing waits, any can be taken: else a very large one could never be answered.
    if (this.#queue.rows === 0) return undefined
    const wait = this.#share.predictedWait()
    if (this.#queue.rows + rows > maxQueueRows) {
      observer?.shed?.('queue_full')
      return queueFull('queue_full', this.#queue.rows, wait)
    }
    const seconds = this.#forecast.untilComputed(rows, wait, this.#queue.rows)
    if (seconds * 1000 <= deadline - now) return undefined
    observer?.shed?.('predicted_wait')
    return queueFull('predicted_wait', this.#queue.rows, wait)
  }

  /** Looks at the queue once everything that arrives at this moment is in it. */
  #planPump(): void {
    if (this.#pumpPlanned) return
    if (this.#share.free() === 0 && !(this.#share.mayGoAhead() && this.#fillsCall())) return
    this.#pumpPlanned = true
    this.#clock.soon(() => {
      this.#pumpPlanned = false
      this.#share.pump()
    })
  }

  #isReady(): boolean {
    while (this.#retries.length > 0) {
      const [piece] = this.#retries
      if (piece!.live()) return true
      this.#finish(this.#retries.shift()!)
    }
    this.#dropExpired()
    const first = this.#queue.peek()
    return first !== undefined && this.#releaseReason() !== undefined
  }

  #isReadyAhead(): boolean {
    // What is tried alone waits for an idle engine: it may be what breaks it.
    return this.#retries.length === 0 && this.#isReady() && this.#fillsCall()
  }

  #fillsCall(): boolean {
    return this.#forecast.fillsCall(this.#queue.rows, this.#queue.pieces)
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

  /** Why a batch goes now; undefined where it should wait (and will be looked at again). */
  #releaseReason(): ReleaseReason | undefined {
    const { maxDelayMs, maxBatchRows } = this.#options
    if (this.#queue.rows >= maxBatchRows) return 'full'
    if (this.#closing) return 'drain'
    if (maxDelayMs === 0) return 'idle'
    let oldest = Number.POSITIVE_INFINITY
    for (const job of this.#jobs) {
      if (job.queuedPieces === 0) continue
      oldest = job.submitted
      break
    }
    const wait = oldest + maxDelayMs - this.#clock.now()
    if (wait <= 0) return 'delay'
    this.#cancelDelay ??= this.#clock.after(wait, () => {
      this.#cancelDelay = undefined
      this.#share.pump()
    })
    return undefined
  }

  #take(): JobPiece[] {
    const limit = this.#forecast.batchLimit(this.#queue.rows, this.#queue.pieces, this.#share.free() + 1)
    const pieces: JobPiece[] = []
    let rows = 0
    for (;;) {
      const next = this.#queue.peek()
      if (next === undefined || (rows > 0 && rows + next.count > limit)) return pieces
      const taken = this.#queue.shiftRows(limit)!
      const { job } = taken
      job.queuedRows -= taken.count
      if (taken === next) job.queuedPieces--
      job.startedPieces++
      pieces.push(taken)
      rows += taken.count
      this.#dropExpired()
    }
  }

  /** Settles requests at the queue's head whose deadline has passed before the timer could say so. */
  #dropExpired(): void {
    const now = this.#clock.now()
    for (;;) {
      const next = this.#queue.peek()
      if (next === undefined || next.deadline > now) return
      this.#expire(next.job)
    }
  }

  async #run(pieces: JobPiece[], reason: ReleaseReason, ahead: boolean): Promise<void> {
    const { observer } = this.#options
    const rows = pieces.reduce((sum, piece) => sum + piece.count, 0)
    const call = this.#forecast.hand(rows, pieces.length)
    observer?.released?.({ rows, requests: pieces.length, reason })
    const begun = () => {
      if (call.begun) return
      this.#forecast.begin(call)
      if (reason === 'isolated') return
      for (const { job } of pieces) {
        observer?.waited?.((call.started - job.submitted) / 1000)
        job.request.begun?.(call.started)
      }
    }
    if (!ahead) begun()
    let finished: readonly JobPiece[] = pieces
    try {
      const outputs = await this.#options.execute(join(pieces), union(pieces), {
        begun,
        took: (seconds) => {
          call.took = seconds
        },
      })
      begun()
      const seconds = this.#forecast.took(call)
      this.#forecast.observe(rows, pieces.length, seconds)
      observer?.computed?.(rows, seconds, pieces.length)
      this.#distribute(pieces, outputs, rows)
    } catch (error) {
      finished = this.#handleFailure(pieces, error)
    } finally {
      for (const piece of finished) this.#finish(piece)
      this.#forecast.end(call)
      this.#share.release(this.#forecast.took(call))
      this.#settleIfIdle()
    }
  }

  #distribute(pieces: JobPiece[], outputs: Outputs, rows: number): void {
    let row = 0
    // All before any is taken: where the outputs are not what was wanted, every piece is tried again.
    const parts = pieces.map(({ job, count }) => {
      const part = slice(outputs, job.request.wanted, rows, row, count)
      row += count
      return part
    })
    for (const [i, { job, start, count }] of pieces.entries()) {
      const part = parts[i]!
      if (job.settled) continue
      job.missingRows -= count
      const whole = count === job.request.batch.rows
      job.outputs = whole ? part : place(job.outputs, part, job.request.batch.rows, start, count)
      if (job.missingRows === 0) {
        this.#forget(job)
        job.resolve(job.outputs)
      }
    }
  }

  /** Fails the call's requests, or puts them by to be tried alone; answers the pieces that are done with. */
  #handleFailure(pieces: JobPiece[], error: unknown): readonly JobPiece[] {
    const tryAlone = pieces.length > 1 && (this.#options.isolate?.(error) ?? true)
    if (!tryAlone) {
      for (const { job } of pieces) this.#fail(job, modelFailed(error))
      return pieces
    }
    this.#retries.push(...pieces)
    return []
  }

  /** No engine reads this piece any more. */
  #finish({ job }: JobPiece): void {
    job.startedPieces--
    if (job.settled && job.startedPieces === 0) job.request.released?.()
  }

  #cancel(job: Job): void {
    if (job.settled) return
    this.#options.observer?.cancelled?.(job.queuedPieces > 0 ? 'queue' : 'compute')
    this.#fail(job, new ModelError('CANCELLED', 'The request was cancelled'))
    this.#settleIfIdle()
  }

  #fail(job: Job, error: unknown): void {
    if (job.settled) return
    this.#forget(job)
    job.reject(error)
  }

  #forget(job: Job): void {
    job.settled = true
    this.#jobs.delete(job)
    if (job.queuedPieces > 0) this.#queue.forget(job.queuedPieces, job.queuedRows)
    job.queuedPieces = 0
    job.queuedRows = 0
    if (job.startedPieces === 0) job.request.released?.()
  }

  #expire(job: Job): void {
    this.#options.observer?.shed?.('deadline')
    this.#fail(job, expired(job.queuedPieces > 0 ? 'queue' : 'compute'))
  }

  /** Settles what has expired; answers the next deadline. */
  #expireUntil(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const job of this.#jobs) {
      if (job.request.deadline <= now) this.#expire(job)
      else next = Math.min(next, job.request.deadline)
    }
    this.#settleIfIdle()
    return next
  }

  #settleIfIdle(): void {
    if (!this.#closing || this.#jobs.size > 0 || this.#forecast.calls > 0) return
    // Settled while they waited for a slot to be tried alone.
    for (const piece of this.#retries.splice(0)) this.#finish(piece)
    this.#share.leave()
    this.#expiry.cancel()
    this.#cancelDelay?.()
    this.#onIdle?.()
  }
}

function union(pieces: readonly JobPiece[]): string[] {
  const [first] = pieces
  if (pieces.every(({ job }) => job.request.wanted === first?.job.request.wanted))
    return [...(first?.job.request.wanted ?? [])]
  return [...new Set(pieces.flatMap(({ job }) => job.request.wanted))]
}
