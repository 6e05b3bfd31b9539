import type { Clock } from '../../../base/clock.ts'
import { createCostModel } from './cost-model.ts'

/** A call in flight. */
export interface Call {
  rows: number
  /** Whether the engine computes it; false while another call is ahead of it. */
  begun: boolean
  /** When it began, or until then when it was handed over. */
  started: number
  /** Predicted seconds. */
  seconds: number
  /** Seconds that the engine reported; undefined if it reported none. */
  took: number | undefined
}

/** A batch is full enough when fixed overhead is at most this share of its cost. */
const smallOverhead = 0.2

/** Rows of a batch up to which it is worth more to share a call than to leave rows for others. */
const largeBatch = 256

/** Seconds that splitting a batch over idle slots must save. */
const leastGain = 0.0002

/** A call that takes longer than predicted is assumed to have this share of its predicted time left. */
const leastLeft = 0.1

/** Predicts durations of a model's queued, running and future calls from its recent ones. */
export class Forecast {
  readonly #clock: Clock
  readonly #maxBatchRows: number
  readonly #slots: number
  readonly #cost = createCostModel()
  readonly #inFlight = new Set<Call>()

  constructor({ clock, maxBatchRows, slots }: { clock: Clock; maxBatchRows: number; slots: number }) {
    this.#clock = clock
    this.#maxBatchRows = maxBatchRows
    this.#slots = slots
  }

  /** Calls in flight. */
  get calls(): number {
    return this.#inFlight.size
  }

  /** Records that a call was handed to an engine. */
  hand(rows: number, requests: number): Call {
    const seconds = this.#cost.predict(rows, requests)
    const call = { rows, begun: false, started: this.#clock.now(), seconds, took: undefined }
    this.#inFlight.add(call)
    return call
  }

  /** Records that the engine has begun the call. */
  begin(call: Call): void {
    call.begun = true
    call.started = this.#clock.now()
  }

  /** Seconds since the call began, or those that the engine reported. */
  took(call: Call): number {
    return call.took ?? (this.#clock.now() - call.started) / 1000
  }

  /** Records that the call is over, successful or not. */
  end(call: Call): void {
    this.#inFlight.delete(call)
  }

  /** Whether a call of `rows` rows in `slices` slices would hardly become cheaper per row if more rows joined it. */
  fillsCall(rows: number, slices: number): boolean {
    if (rows >= this.#maxBatchRows) return true
    const seconds = this.#cost.predict(rows, slices)
    return seconds > 0 && this.#cost.predict(0, 0) <= smallOverhead * seconds
  }

  /** Records the duration of a successful call. */
  observe(rows: number, requests: number, seconds: number): void {
    this.#cost.observe(rows, requests, seconds)
  }

  /** Seconds that a request of `rows` rows adds to a call. */
  ofRequest(rows: number): number {
    return this.#cost.predict(rows, 1) - this.#cost.predict(0, 0)
  }

  /** Seconds of `rows` queued rows in `slices` slices. */
  ofBacklog(rows: number, slices: number): number {
    if (rows === 0) return 0
    const calls = Math.ceil(rows / this.#maxBatchRows)
    return this.#cost.predict(rows, slices) + (calls - 1) * this.#cost.predict(0, 0)
  }

  /** Seconds left of the calls in flight. */
  left(): number {
    const now = this.#clock.now()
    let sum = 0
    for (const { begun, started, seconds } of this.#inFlight)
      sum += begun ? Math.max(leastLeft * seconds, seconds - (now - started) / 1000) : seconds
    return sum
  }

  /**
   * A cautious estimate of the seconds until a request is computed that waits `waitSeconds` behind `rowsBefore` rows.
   */
  untilComputed(rows: number, waitSeconds: number, rowsBefore: number): number {
    // Errors of successive predictions partly cancel.
    const calls = rowsBefore / this.#maxBatchRows / this.#slots + 1
    const spread = Math.min(1, this.#cost.spread / Math.sqrt(calls))
    return (waitSeconds + this.#cost.predict(Math.min(rows, this.#maxBatchRows), 1)) * (1 + spread)
  }

  /**
   * Row limit of the next batch: below the configured limit where splitting over idle slots is faster, or where few
   * rows are left for others.
   */
  batchLimit(rows: number, slices: number, freeSlots: number): number {
    const limit = this.#overlappingLimit(rows)
    const share = Math.ceil(rows / freeSlots)
    if (freeSlots === 1 || share >= limit) return limit
    const undivided = this.#cost.predict(Math.min(rows, limit), slices)
    const gain = undivided - this.#cost.predict(share, Math.ceil(slices / freeSlots))
    return gain >= leastGain ? share : limit
  }

  /**
   * Clients that wait for answers send nothing: if they all wait for the same call, the other engines and the main
   * thread have nothing to do. So a large batch has at most half of an engine's share of the rows that are queued or
   * computed.
   */
  #overlappingLimit(queued: number): number {
    let rows = queued
    for (const call of this.#inFlight) rows += call.rows
    return Math.min(this.#maxBatchRows, Math.max(largeBatch, Math.ceil(rows / (2 * this.#slots))))
  }
}
