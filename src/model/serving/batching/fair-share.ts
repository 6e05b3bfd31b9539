/** Calls queued at a worker behind the one it computes, so that it need not wait for the main thread between calls. */
export const callsAhead = 1

/** A model is idle if none of this many last calls were its own. */
const activeStarts = 256

/**
 * Shares an engine's slots among models: the model that has work and has used the least time goes next (start-time fair
 * queueing), so that a flood of requests for one model does not starve the others.
 */
export class FairShare {
  readonly slots: number
  /** Time of all calls that are over, s. */
  busySeconds = 0
  #turnSeconds = 0
  /** Calls started and not over, those handed over ahead of time included. */
  #inFlight = 0
  /** Limit of calls in flight, unless event loop turns are so long that workers would run out of work. */
  readonly #maxInFlight: number
  /** Models that have work, or had some recently: of many models, few. */
  readonly #awake = new Set<ModelUse>()
  /** Time used by the model that started last. A model that was idle continues from there, without credit. */
  #virtualTime = 0
  /** Calls started since the beginning. */
  #starts = 0

  /**
   * `slots`: engine calls computed in parallel. `ahead`: further calls that each slot may receive while it is busy, so
   * that it need not wait for its next call.
   */
  constructor(slots: number, ahead = 0) {
    this.slots = slots
    this.#maxInFlight = slots * (1 + ahead)
  }

  /** Unused slots. */
  get free(): number {
    return Math.max(0, this.slots - this.#inFlight)
  }

  /**
   * The recent duration of one turn of the event loop, which hands calls over, in ms: slots receive at least that much
   * work ahead.
   */
  eventLoopTurn(ms: number): void {
    this.#turnSeconds = ms / 1000
  }

  join(work: ModelWork): ModelSlots {
    const model: ModelUse = { work, used: this.#virtualTime, idle: true, lastStart: Number.NEGATIVE_INFINITY }
    return {
      total: this.slots,
      wake: () => {
        this.#awake.add(model)
      },
      free: () => this.free,
      mayStartAhead: () => this.#mayStartAhead(),
      pump: () => this.#pump(),
      release: (seconds) => {
        model.used += seconds
        this.busySeconds += seconds
        this.#inFlight--
        this.#pump()
      },
      predictedWait: (backlog) => this.#predictedWait(model, backlog),
      leave: () => {
        this.#awake.delete(model)
      },
    }
  }

  /**
   * Seconds until a request for the least loaded active model would begin. A request that is too late for this model is
   * too late for any; its headers do not say which model it is for. `tenant`: whose request it is.
   */
  predictedWait(tenant?: string): number {
    let least = Number.POSITIVE_INFINITY
    for (const model of this.#awake) {
      const backlog = model.work.backlog(tenant)
      if (backlog > 0 || this.#wasActive(model)) least = Math.min(least, this.#predictedWait(model, backlog))
    }
    return Number.isFinite(least) ? least : 0
  }

  #mayStartAhead(): boolean {
    if (this.#inFlight < this.slots || this.#maxInFlight === this.slots) return false
    return this.#inFlight < this.#maxInFlight || this.#left() < this.#turnSeconds * this.slots
  }

  /** Predicted seconds left of all calls in flight. */
  #left(): number {
    let seconds = 0
    for (const { work } of this.#awake) seconds += work.inFlight()
    return seconds
  }

  #wasActive({ lastStart }: ModelUse): boolean {
    return this.#starts - lastStart < activeStarts
  }

  #pump(): void {
    while (this.#inFlight < this.slots || this.#mayStartAhead()) {
      const ahead = this.#inFlight >= this.slots
      let next: ModelUse | undefined
      for (const model of this.#awake) {
        const { work } = model
        if (!work.ready(ahead)) {
          // A model that would not start ahead of time may still have queued requests.
          if (ahead) continue
          model.idle = true
          if (!work.hasAny() && !this.#wasActive(model)) this.#awake.delete(model)
          continue
        }
        if (model.idle) model.used = Math.max(model.used, this.#virtualTime)
        model.idle = false
        if (next === undefined || model.used < next.used) next = model
      }
      if (next === undefined) return
      this.#virtualTime = next.used
      next.lastStart = this.#starts++
      this.#inFlight++
      next.work.start(ahead)
    }
  }

  /** A model waits for its own backlog and for at most as much of each other backlog. */
  #predictedWait(own: ModelUse, backlog = own.work.backlog()): number {
    if (this.free > 0 && backlog === 0) return 0
    let others = 0
    for (const { work } of this.#awake) if (work !== own.work) others += Math.min(backlog, work.backlog())
    return (this.#left() + backlog + others) / this.slots
  }
}

/** The calls that one model has to compute. */
export interface ModelWork {
  /** Whether there is any, queued or in flight. */
  hasAny(): boolean
  /** Whether a call could start now; `ahead`: while all slots are busy, as the next call of one of them. */
  ready(ahead: boolean): boolean
  /** Starts a call in a slot that has been taken for it; `release` gives the slot back. */
  start(ahead: boolean): void
  /** Predicted seconds of its queued rows; of a tenant: of those that go before its next request. */
  backlog(tenant?: string): number
  /** Predicted seconds left of its calls in flight. */
  inFlight(): number
}

/** The shared slots, as one model uses them. */
export interface ModelSlots {
  /** All slots. */
  total: number
  /** It has work from now on; called before any of it can start. */
  wake(): void
  /** Unused slots. */
  free(): number
  /** Whether all slots are busy and one of them may receive another call. */
  mayStartAhead(): boolean
  /** Starts calls of any model while slots may receive some. */
  pump(): void
  /** Gives a slot back that was used for `seconds`. */
  release(seconds: number): void
  /**
   * Seconds until a request of this model that arrived now would begin; `backlog`: the predicted seconds of the rows
   * before it, by default of all queued rows.
   */
  predictedWait(backlog?: number): number
  leave(): void
}

interface ModelUse {
  work: ModelWork
  /** Virtual time: seconds used, plus the virtual time at which it became active. */
  used: number
  idle: boolean
  /** Number of its last call, counted over all models. */
  lastStart: number
}
