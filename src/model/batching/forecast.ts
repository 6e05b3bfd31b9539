import type { Clock } from '../base/clock.ts'
import { createCostModel } from './cost-model.ts'

/** A call under way. */
export interface Call {
  /** Whether an engine computes it, or another one is before it. */
  begun: boolean
  /** When it was handed over, or had begun. */
  started: number
  /** Predicted seconds. */
  seconds: number
  /** Seconds that its engine says it took; undefined where it says nothing. */
  took: number | undefined
}

/** Calls of which what they cost whatever they hold is at most this share are as cheap a row as larger ones, or nearly. */
const smallOverhead = 0.2

/** A batch is cut up for slots that are idle if that saves at least so many seconds. */
const leastGain = 0.0002

/** Of a call that takes longer than predicted, this share of its predicted time is taken to be left. */
const leastLeft = 0.1

/** What a model's calls will take, by what they have taken lately: of what waits, of what is under way, of what comes. */
export class Forecast {
  readonly #clock: Clock
  readonly #maxBatchRows: number
  readonly #slots: number
  readonly #cost = createCostModel()
  readonly #underWay = new Set<Call>()

  constructor({ clock, maxBatchRows, slots }: { clock: Clock; maxBatchRows: number; slots: number }) {
    this.#clock = clock
    this.#maxBatchRows = maxBatchRows
    this.#slots = slots
  }

  /** Calls under way. */
  get calls(): number {
    return this.#underWay.size
  }

  /** A call is handed to an engine. */
  hand(rows: number, requests: number): Call {
    const seconds = this.#cost.predict(rows, requests)
    const call = { begun: false, started: this.#clock.now(), seconds, took: undefined }
    this.#underWay.add(call)
    return call
  }

  /** The engine turns to it. */
  begin(call: Call): void {
    call.begun = true
    call.started = this.#clock.now()
  }

  /** Seconds that the call has taken. */
  took(call: Call): number {
    return call.took ?? (this.#clock.now() - call.started) / 1000
  }

  /** The call is over, well or not. */
  end(call: Call): void {
    this.#underWay.delete(call)
  }

  /** Whether a call of so many rows, in so many pieces, would hardly be cheaper a row together with what comes next. */
  fillsCall(rows: number, pieces: number): boolean {
    if (rows >= this.#maxBatchRows) return true
    const seconds = this.#cost.predict(rows, pieces)
    return seconds > 0 && this.#cost.predict(0, 0) <= smallOverhead * seconds
  }

  /** A call that went well took so long. */
  observe(rows: number, requests: number, seconds: number): void {
    this.#cost.observe(rows, requests, seconds)
  }

  /** Seconds that a request of so many rows adds to a call. */
  ofRequest(rows: number): number {
    return this.#cost.predict(rows, 1) - this.#cost.predict(0, 0)
  }

  /** Seconds of so many waiting rows, in so many pieces. */
  ofBacklog(rows: number, pieces: number): number {
    if (rows === 0) return 0
    const calls = Math.ceil(rows / this.#maxBatchRows)
    return this.#cost.predict(rows, pieces) + (calls - 1) * this.#cost.predict(0, 0)
  }

  /** Seconds that are left of the calls under way. */
  left(): number {
    const now = this.#clock.now()
    let sum = 0
    for (const { begun, started, seconds } of this.#underWay)
      sum += begun ? Math.max(leastLeft * seconds, seconds - (now - started) / 1000) : seconds
    return sum
  }

  /** Seconds until a request of so many rows is computed that has to wait so long, behind so many rows; on the safe side. */
  untilComputed(rows: number, waitSeconds: number, rowsBefore: number): number {
    // Of calls one after the other, some take longer than predicted and some less.
    const calls = rowsBefore / this.#maxBatchRows / this.#slots + 1
    const spread = Math.min(1, this.#cost.spread / Math.sqrt(calls))
    return (waitSeconds + this.#cost.predict(Math.min(rows, this.#maxBatchRows), 1)) * (1 + spread)
  }

  /** Rows of the next batch at most: fewer than the configured limit where that keeps idle slots busy, and is faster. */
  batchLimit(rows: number, pieces: number, freeSlots: number): number {
    const part = Math.ceil(rows / freeSlots)
    if (freeSlots === 1 || part >= this.#maxBatchRows) return this.#maxBatchRows
    const whole = this.#cost.predict(Math.min(rows, this.#maxBatchRows), pieces)
    const gain = whole - this.#cost.predict(part, Math.ceil(pieces / freeSlots))
    return gain >= leastGain ? part : this.#maxBatchRows
  }
}
