/** Calls that a worker has beside the one it computes, where that is worth while: the next, so that it never waits for us. */
export const callsAhead = 1

/** A model that had none of so many calls has not been asked lately. */
const activeStarts = 256

/**
 * Shares an engine's slots among models: of those that have work, the one that has used the least time goes next
 * (start-time fair queueing), so that a flood of requests for one model doesn't starve the others.
 */
export class FairShare {
  readonly slots: number
  /**
   * Seconds until the thread that hands calls over comes round to it again, lately: slots are given work for so long, where
   * one call ahead is less than that.
   */
  turnSeconds = 0
  /** Calls that have been started and are not over: so many slots at most, and what is handed on ahead. */
  #underWay = 0
  readonly #most: number
  readonly #members = new Set<Tenant>()
  /** Time used by whoever started last: who comes back from idleness starts from there, with no credit. */
  #virtualTime = 0
  /** Calls that have been started. */
  #starts = 0

  /**
   * `slots`: engine calls that are computed at once. `ahead`: calls more that may be handed over to each, so that it need
   * not wait for the next when it has done one.
   */
  constructor(slots: number, ahead = 0) {
    this.slots = slots
    this.#most = slots * (1 + ahead)
  }

  /** Slots that nobody uses. */
  get free(): number {
    return Math.max(0, this.slots - this.#underWay)
  }

  join(contender: FairModel): FairModelShare {
    const member: Tenant = { contender, used: this.#virtualTime, idle: true, lastStart: Number.NEGATIVE_INFINITY }
    this.#members.add(member)
    return {
      free: () => this.free,
      mayGoAhead: () => this.#mayGoAhead(),
      pump: () => this.#pump(),
      release: (seconds) => {
        member.used += seconds
        this.#underWay--
        this.#pump()
      },
      predictedWait: () => this.#predictedWait(member),
      leave: () => {
        this.#members.delete(member)
      },
    }
  }

  /**
   * Seconds until a request would begin that is for whichever model has least to do, of those that were asked lately: what
   * is too late for that is too late for any. Which model a request is for, its headers don't say.
   */
  predictedWait(): number {
    let least = Number.POSITIVE_INFINITY
    for (const member of this.#members) {
      const isActive = member.contender.backlog() > 0 || this.#starts - member.lastStart < activeStarts
      if (isActive) least = Math.min(least, this.#predictedWait(member))
    }
    return Number.isFinite(least) ? least : 0
  }

  #mayGoAhead(): boolean {
    if (this.#underWay < this.slots || this.#most === this.slots) return false
    return this.#underWay < this.#most || this.#left() < this.turnSeconds * this.slots
  }

  /** Seconds that are left of all calls under way. */
  #left(): number {
    let seconds = 0
    for (const { contender } of this.#members) seconds += contender.underWay()
    return seconds
  }

  #pump(): void {
    while (this.#underWay < this.slots || this.#mayGoAhead()) {
      const ahead = this.#underWay >= this.slots
      let next: Tenant | undefined
      for (const member of this.#members) {
        if (!member.contender.ready(ahead)) {
          // What is not worth while ahead of its time may be waiting all the same.
          member.idle ||= !ahead
          continue
        }
        if (member.idle) member.used = Math.max(member.used, this.#virtualTime)
        member.idle = false
        if (next === undefined || member.used < next.used) next = member
      }
      if (next === undefined) return
      this.#virtualTime = next.used
      next.lastStart = this.#starts++
      this.#underWay++
      next.contender.start(ahead)
    }
  }

  /** A model waits for its own backlog, and for as much of each other's: but for no more than there is. */
  #predictedWait(own: Tenant): number {
    const backlog = own.contender.backlog()
    if (this.free > 0 && backlog === 0) return 0
    let others = 0
    for (const { contender } of this.#members)
      if (contender !== own.contender) others += Math.min(backlog, contender.backlog())
    return (this.#left() + backlog + others) / this.slots
  }
}

/** One model's work. */
export interface FairModel {
  /** Whether a call could start now; `ahead`: while all slots are busy, to be computed by one of them next. */
  ready(ahead: boolean): boolean
  /** Starts a call; its slot has been taken, and is given back by `release`. */
  start(ahead: boolean): void
  /** Predicted seconds of what waits. */
  backlog(): number
  /** Predicted seconds that are left of the calls under way. */
  underWay(): number
}

export interface FairModelShare {
  /** Slots that nobody uses. */
  free(): number
  /** Whether all slots are busy, and a call may be handed to one of them ahead of time. */
  mayGoAhead(): boolean
  /** Starts what can start. */
  pump(): void
  /** Gives a slot back, used for so many seconds. */
  release(seconds: number): void
  /** Seconds until a request of this model that arrived now would begin. */
  predictedWait(): number
  leave(): void
}

interface Tenant {
  contender: FairModel
  /** Seconds used, counted from those of whoever was busy when it came. */
  used: number
  idle: boolean
  /** Which of all calls its last one was. */
  lastStart: number
}
