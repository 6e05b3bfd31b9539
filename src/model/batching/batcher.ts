import type { Outputs } from '../engines/engine.ts'
import { ModelError } from '../errors.ts'
import type { Clock } from './clock.ts'
import type { BatcherOptions, BatcherStats, BatchRequest, ReleaseReason, Submission } from './contract.ts'
import { type CostModel, createCostModel, predictDrain } from './cost-model.ts'
import { createExpiryTimer, type ExpiryTimer } from './expiry-timer.ts'
import type { Job, JobPiece } from './job.ts'
import { RowQueue } from './queue.ts'
import { expired, modelFailed, queueFull, refused } from './refusal.ts'
import { join, place, slice } from './tensors.ts'

/**
 * Gathers the rows of many requests into engine calls.
 *
 * Counts rows, not requests. An idle engine never waits (but see `maxDelayMs`); while all are busy, arrivals gather.
 * Requests are served first come, first served, and each is kept whole in one call unless it is larger than the batch
 * limit: then it is split, and put together again. What finds the queue full, or can't be computed before its deadline
 * by what calls have taken lately, is rejected at once. Expired and cancelled requests are
 * never computed. When a call throws, its requests are tried one by one, so that only the culprit fails.
 *
 * `close()` drains: it refuses new requests, and resolves when the last has been settled and no engine is busy.
 * `destroy(error)` rejects all that is under way. Both are idempotent.
 */
export class Batcher {
  readonly #options: BatcherOptions
  readonly #clock: Clock
  readonly #cost: CostModel = createCostModel()
  readonly #queue = new RowQueue<JobPiece>()
  readonly #retries: JobPiece[] = []
  readonly #jobs = new Set<Job>()
  #inFlight = 0
  #pumpPlanned = false
  #cancelDelay: (() => void) | undefined
  readonly #expiry: ExpiryTimer
  #closing = false
  #closed: Promise<void> | undefined
  #onIdle: (() => void) | undefined

  constructor(options: BatcherOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#expiry = createExpiryTimer(options.clock, (now) => this.#expireUntil(now))
  }

  submit(request: BatchRequest): Submission {
    const { maxBatchRows, observer } = this.#options
    const { rows } = request.batch
    const now = this.#clock.now()
    if (!Number.isInteger(rows) || rows < 1) throw new RangeError(`a request has at least one row, not ${rows}`)
    if (this.#closing) return refused(new ModelError('DRAINING', 'The model takes no new requests: it is being closed'))
    if (request.deadline <= now) {
      observer?.shed?.('deadline')
      return refused(expired('queue'))
    }
    const refusal = this.#refusal(rows, request.deadline - now)
    if (refusal !== undefined) {
      observer?.shed?.(refusal)
      return refused(queueFull(refusal, this.#queue.rows, this.#drainSeconds()))
    }
    const job: Job = {
      request,
      resolve: () => undefined,
      reject: () => undefined,
      submitted: now,
      settled: false,
      queuedPieces: 0,
      queuedRows: 0,
      missingRows: rows,
      outputs: undefined,
    }
    const outputs = new Promise<Outputs>((resolve, reject) => {
      job.resolve = resolve
      job.reject = reject
    })
    this.#jobs.add(job)
    for (let start = 0; start < rows; start += maxBatchRows) {
      const count = Math.min(maxBatchRows, rows - start)
      this.#queue.push({ job, batch: request.batch, start, count, live: () => !job.settled })
      job.queuedPieces++
      job.queuedRows += count
    }
    this.#expiry.include(request.deadline)
    this.#planPump()
    return { outputs, cancel: () => this.#cancel(job) }
  }

  /** Tells the cost model what a call took, so that it predicts well from the first request on (warm-up). */
  seed(rows: number, seconds: number): void {
    this.#cost.observe(rows, seconds)
  }

  stats(): BatcherStats {
    return {
      queuedRows: this.#queue.rows,
      inFlightBatches: this.#inFlight,
      requests: this.#jobs.size,
      predictedWaitSeconds: this.#inFlight < this.#options.concurrency ? 0 : this.#drainSeconds(),
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

  /** Why a request can't be taken, if so. While nothing waits, any can: else a very large one could never be answered. */
  #refusal(rows: number, timeLeft: number): 'queue_full' | 'predicted_wait' | undefined {
    if (this.#queue.rows === 0) return undefined
    if (this.#queue.rows + rows > this.#options.maxQueueRows) return 'queue_full'
    const seconds = this.#drainSeconds() + this.#cost.predict(Math.min(rows, this.#options.maxBatchRows))
    return seconds * 1000 > timeLeft ? 'predicted_wait' : undefined
  }

  #drainSeconds(): number {
    return predictDrain(this.#cost, this.#queue.rows, this.#inFlight, this.#options)
  }

  /** Looks at the queue once everything that arrives at this moment is in it. */
  #planPump(): void {
    if (this.#pumpPlanned || this.#inFlight >= this.#options.concurrency) return
    this.#pumpPlanned = true
    this.#clock.soon(() => {
      this.#pumpPlanned = false
      this.#pump()
    })
  }

  #pump(): void {
    while (this.#inFlight < this.#options.concurrency) {
      const retry = this.#nextRetry()
      if (retry !== undefined) {
        this.#run([retry], 'isolated')
        continue
      }
      this.#dropExpired()
      const oldest = this.#queue.peek()
      if (oldest === undefined) return
      const reason = this.#releaseReason(oldest)
      if (reason === undefined) return
      this.#run(this.#take(), reason)
    }
  }

  #nextRetry(): JobPiece | undefined {
    for (;;) {
      const piece = this.#retries.shift()
      if (piece === undefined || piece.live()) return piece
    }
  }

  /** Why a batch goes now; undefined where it should wait (and will be looked at again). */
  #releaseReason(oldest: JobPiece): ReleaseReason | undefined {
    const { maxDelayMs, maxBatchRows } = this.#options
    if (this.#queue.rows >= maxBatchRows) return 'full'
    if (this.#closing) return 'drain'
    if (maxDelayMs === 0) return 'idle'
    const wait = oldest.job.submitted + maxDelayMs - this.#clock.now()
    if (wait <= 0) return 'delay'
    this.#cancelDelay ??= this.#clock.after(wait, () => {
      this.#cancelDelay = undefined
      this.#pump()
    })
    return undefined
  }

  #take(): JobPiece[] {
    const { maxBatchRows } = this.#options
    const pieces: JobPiece[] = []
    let rows = 0
    for (;;) {
      const next = this.#queue.peek()
      if (next === undefined || rows + next.count > maxBatchRows) return pieces
      this.#queue.shift()
      next.job.queuedPieces--
      next.job.queuedRows -= next.count
      pieces.push(next)
      rows += next.count
      this.#dropExpired()
    }
  }

  /** Settles requests at the queue's head whose deadline has passed before the timer could say so. */
  #dropExpired(): void {
    const now = this.#clock.now()
    for (;;) {
      const next = this.#queue.peek()
      if (next === undefined || next.job.request.deadline > now) return
      this.#expire(next.job)
    }
  }

  async #run(pieces: JobPiece[], reason: ReleaseReason): Promise<void> {
    const { observer } = this.#options
    const rows = pieces.reduce((sum, piece) => sum + piece.count, 0)
    const started = this.#clock.now()
    this.#inFlight++
    observer?.released?.({ rows, requests: pieces.length, reason })
    if (reason !== 'isolated') for (const { job } of pieces) observer?.waited?.((started - job.submitted) / 1000)
    try {
      const outputs = await this.#options.execute(join(pieces), union(pieces))
      const seconds = (this.#clock.now() - started) / 1000
      this.#cost.observe(rows, seconds)
      observer?.computed?.(rows, seconds)
      this.#distribute(pieces, outputs, rows)
    } catch (error) {
      this.#handleFailure(pieces, error)
    } finally {
      this.#inFlight--
      this.#pump()
      this.#settleIfIdle()
    }
  }

  #distribute(pieces: JobPiece[], outputs: Outputs, rows: number): void {
    let row = 0
    for (const { job, start, count } of pieces) {
      const part = slice(outputs, job.request.wanted, rows, row, count)
      row += count
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

  #handleFailure(pieces: JobPiece[], error: unknown): void {
    const tryAlone = pieces.length > 1 && (this.#options.isolate?.(error) ?? true)
    for (const piece of pieces) {
      if (!tryAlone) this.#fail(piece.job, modelFailed(error))
      else if (piece.live()) this.#retries.push(piece)
    }
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
    if (!this.#closing || this.#jobs.size > 0 || this.#inFlight > 0) return
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
