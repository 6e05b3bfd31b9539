import type { Batch, Outputs } from '../engines/engine.ts'
import { ModelError, reasonOf } from '../errors.ts'
import type { Clock } from './clock.ts'
import { type CostModel, createCostModel } from './cost-model.ts'
import { type Piece, RowQueue } from './queue.ts'
import { join, place, slice } from './tensors.ts'

export interface BatchRequest {
  batch: Batch
  /** Outputs to answer, by name. */
  wanted: readonly string[]
  /** When the answer is of no use any more, on the batcher's clock, ms. */
  deadline: number
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

export type ReleaseReason = 'idle' | 'full' | 'delay' | 'drain' | 'isolated'

/** Hears what the batcher does; every method is optional, and must not throw. */
export interface BatchObserver {
  released?(batch: { rows: number; requests: number; reason: ReleaseReason }): void
  /** A request, or a part of it, waited so long for its engine. */
  waited?(seconds: number): void
  /** An engine call over so many rows took so long. */
  computed?(rows: number, seconds: number): void
  /** A request was refused, or gave up waiting. */
  shed?(reason: 'queue_full' | 'deadline'): void
  cancelled?(stage: 'queue' | 'compute'): void
}

export interface BatcherOptions {
  /** Most rows of one engine call; larger requests are split. */
  maxBatchRows: number
  /** How long an idle engine may wait for a fuller batch, ms; 0 never waits. */
  maxDelayMs: number
  /** Most rows waiting. */
  maxQueueRows: number
  /** Engine calls under way at once. */
  concurrency: number
  /** Runs one engine call. */
  execute(batch: Batch, wanted: string[]): Promise<Outputs>
  /** Whether, after this error of a batch of several requests, each is tried alone. Default: always. */
  isolate?(error: unknown): boolean
  clock: Clock
  observer?: BatchObserver
}

/** A request under way. */
interface Job {
  request: BatchRequest
  resolve(outputs: Outputs): void
  reject(error: unknown): void
  submitted: number
  settled: boolean
  /** Pieces and rows still in the queue. */
  queuedPieces: number
  queuedRows: number
  /** Rows without outputs yet. */
  missingRows: number
  outputs: Outputs | undefined
}

interface JobPiece extends Piece {
  job: Job
}

/**
 * Gathers the rows of many requests into engine calls.
 *
 * Counts rows, not requests. An idle engine never waits (but see `maxDelayMs`); while all are busy, arrivals gather.
 * Requests are served first come, first served, and each is kept whole in one call unless it is larger than the batch
 * limit: then it is split, and put together again. A full queue rejects at once. Expired and cancelled requests are
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
  #nextExpiry = Number.POSITIVE_INFINITY
  #cancelExpiry: (() => void) | undefined
  #closing = false
  #closed: Promise<void> | undefined
  #onIdle: (() => void) | undefined

  constructor(options: BatcherOptions) {
    this.#options = options
    this.#clock = options.clock
  }

  submit(request: BatchRequest): Submission {
    const { maxQueueRows, maxBatchRows, observer } = this.#options
    const { rows } = request.batch
    const now = this.#clock.now()
    if (!Number.isInteger(rows) || rows < 1) throw new RangeError(`a request has at least one row, not ${rows}`)
    if (this.#closing) return refused(new ModelError('DRAINING', 'The model takes no new requests: it is being closed'))
    if (request.deadline <= now) {
      observer?.shed?.('deadline')
      return refused(expired('queue'))
    }
    // A request larger than the whole queue is let in when nothing waits: else it could never be answered.
    if (this.#queue.rows + rows > maxQueueRows && this.#queue.rows > 0) {
      observer?.shed?.('queue_full')
      const retryAfterSeconds = this.#drainSeconds(this.#queue.rows)
      return refused(
        new ModelError('QUEUE_FULL', `The queue is full: ${this.#queue.rows} rows wait`, { retryAfterSeconds }),
      )
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
    this.#expireAt(request.deadline)
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
      predictedWaitSeconds: this.#inFlight < this.#options.concurrency ? 0 : this.#drainSeconds(this.#queue.rows),
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

  /** Seconds until so many rows have been computed, whatever is under way included. */
  #drainSeconds(rows: number): number {
    const { maxBatchRows, concurrency } = this.#options
    const full = Math.floor(rows / maxBatchRows)
    const rest = rows % maxBatchRows
    const waiting = full * this.#cost.predict(maxBatchRows) + (rest > 0 ? this.#cost.predict(rest) : 0)
    return (waiting + this.#inFlight * this.#cost.predict(maxBatchRows) * 0.5) / concurrency
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

  /** One timer for all: set for the earliest deadline, it settles what has expired and is set again. */
  #expireAt(deadline: number): void {
    if (deadline >= this.#nextExpiry) return
    this.#cancelExpiry?.()
    this.#nextExpiry = deadline
    this.#cancelExpiry = this.#clock.after(deadline - this.#clock.now(), () => {
      const now = this.#clock.now()
      let next = Number.POSITIVE_INFINITY
      for (const job of this.#jobs) {
        if (job.request.deadline <= now) this.#expire(job)
        else next = Math.min(next, job.request.deadline)
      }
      this.#nextExpiry = Number.POSITIVE_INFINITY
      this.#cancelExpiry = undefined
      if (next !== Number.POSITIVE_INFINITY) this.#expireAt(next)
      this.#settleIfIdle()
    })
  }

  #settleIfIdle(): void {
    if (!this.#closing || this.#jobs.size > 0 || this.#inFlight > 0) return
    this.#cancelExpiry?.()
    this.#cancelDelay?.()
    this.#nextExpiry = Number.POSITIVE_INFINITY
    this.#onIdle?.()
  }
}

function union(pieces: readonly JobPiece[]): string[] {
  const [first] = pieces
  if (pieces.every(({ job }) => job.request.wanted === first?.job.request.wanted))
    return [...(first?.job.request.wanted ?? [])]
  return [...new Set(pieces.flatMap(({ job }) => job.request.wanted))]
}

function refused(error: ModelError): Submission {
  return { outputs: Promise.reject(error), cancel: () => undefined }
}

function expired(stage: 'queue' | 'compute'): ModelError {
  const where = stage === 'queue' ? 'while it waited' : 'while it was computed'
  return new ModelError('DEADLINE_EXCEEDED', `The request's deadline passed ${where}`, { stage })
}

function modelFailed(error: unknown): ModelError {
  if (error instanceof ModelError) return error
  return new ModelError('MODEL_FAILED', `The model failed: ${reasonOf(error)}`, { cause: error })
}
