import { performance } from 'node:perf_hooks'
import type { Clock } from '../../base/clock.ts'

/**
 * Decides from a request's headers alone whether it can be answered in time.
 *
 * A flood saturates the main thread, and fills the queues behind it: then every request is served, and every one too
 * late. So those that would be too late are refused before their body is read, which costs a fraction of answering
 * them. The cost of a request for the engines is known when it has been read; until then it is guessed by its bytes.
 */
export interface Admission {
  /**
   * A request of `bytes` bytes has arrived, with a deadline in `deadlineMs`. `bytes` is undefined where its size says
   * nothing about its cost: it is unknown, or the body is compressed. `tenant`: whose request it is; tenants take
   * turns. `lowest`: it asks for the lowest priority, and is refused where others still wait for a while. `now`: on the
   * clock, ms.
   */
  enter(
    deadlineMs: number,
    bytes: number | undefined,
    tenant?: string,
    lowest?: boolean,
    now?: number,
  ): AdmittedEntry | Refusal
}

export interface AdmittedEntry {
  admitted: true
  /** The earliest time at which it can have arrived, on the clock, ms: it may have waited in its socket. */
  earliestArrival: number
  /**
   * The request has been read. `began` and `ended`: when this thread read it, on the clock, ms; `began` is Infinity
   * where another thread did. `engineSeconds`: its predicted cost; undefined where the request was refused then.
   */
  wasRead(engineSeconds: number | undefined, began: number, ended: number): void
  /** It has been answered, or its client has gone. Idempotent. */
  leave(): void
}

export interface Refusal {
  admitted: false
  message: string
  /** Seconds until it is worth while to come again. */
  retryAfterSeconds: number
}

export interface AdmissionOptions {
  clock: Clock
  /** Seconds until the engines would begin with what came now, of a tenant if there are several. */
  predictedWait(tenant?: string): number
  /** Parallel engine calls. */
  slots: number
  /** Receives the recent length of an event-loop turn, ms, whenever it is updated. */
  onTurn?(ms: number): void
  /** Milliseconds that this thread has waited for something to do, since its start; replaceable in tests. */
  idleMs?(): number
}

/** Share of a deadline that foreseen work may take: the rest is for what can't be foreseen. */
const usableShare = 0.8

/**
 * Share of a deadline that waiting may take. A queue so long keeps the engines busy; what waits longer in a flood is
 * often too late after all, when it has already cost what it costs to read.
 */
const longestWait = 0.5

/** The same share, where a request asks for the lowest priority. */
const longestLowestWait = 0.05

/** Most bytes of a body that arrive together: a large one that is announced may take its time, or never come. */
const atOnce = 64 * 1024

/** To read a request for longer than this, ms, keeps others waiting in their sockets. */
const longRead = 5

/**
 * Idle time that halves what a turn is taken to last, ms: one stall says little of a loop that has had nothing to do
 * since.
 */
const halvedBy = 100

/** Weight of the newest observation of what a byte, or a turn of the event loop, takes. */
const newest = 0.1

/** Turns of the event loop that an answer takes after its computation, and its body before: one each. */
const turnsOfItsOwn = 2

export function createAdmission(options: AdmissionOptions): Admission {
  const { clock, predictedWait, slots } = options
  const idleMs = options.idleMs ?? (() => performance.nodeTiming.idleTime)
  /** Engine seconds per byte of body. */
  let secondsPerByte = 0
  /**
   * Engine seconds of requests that entered in this turn of the event loop and in the last one, and have not been read:
   * those are about to be.
   */
  let foreseen = { turn: 0, now: 0, before: 0 }
  /** When the event loop began to read requests in this turn, and in the last one in which it did. */
  let turnStart: number | undefined
  let lastStart = clock.now()
  let lastIdle = idleMs()
  /** When at the earliest those that are read in this turn arrived. */
  let earliest = lastStart
  /** When this thread last began to read for long, and how long it had been idle until then. */
  let busy: { began: number; idle: number } | undefined
  /** Recent length of a turn, ms. */
  let turnMs = 0
  /** Length of the last one, ms. */
  let lastTook = 0

  /** Called at the first request of a turn. */
  function beginTurn(now: number): void {
    const idle = idleMs()
    // Where the loop had nothing to do in between, a request that is read now has just arrived; or while it was busy
    // since then.
    const slept = idle > lastIdle
    earliest = !slept ? lastStart : busy?.idle === idle ? busy.began : now
    const took = now - lastStart - (idle - lastIdle)
    // One alone that is long, while garbage is collected, says nothing of the next.
    const usual = Math.min(took, lastTook)
    lastTook = took
    turnMs = slept
      ? turnMs * (1 - newest) * 0.5 ** ((idle - lastIdle) / halvedBy)
      : turnMs + (usual > turnMs ? 0.5 : newest) * (usual - turnMs)
    lastIdle = idle
    options.onTurn?.(turnMs)
    foreseen = { turn: foreseen.turn + 1, now: 0, before: foreseen.now }
    turnStart = now
    clock.soon(() => {
      lastStart = turnStart ?? now
      turnStart = undefined
    })
  }

  return {
    enter(deadlineMs, bytes, tenant, lowest = false, now = clock.now()) {
      if (turnStart === undefined) beginTurn(now)
      const arrived = earliest
      const own = (bytes ?? 0) * secondsPerByte
      const soon = Math.min(bytes ?? 0, atOnce) * secondsPerByte
      const engines = predictedWait(tenant) + (foreseen.now + foreseen.before) / slots
      const wait = now - arrived + turnsOfItsOwn * turnMs + 1000 * engines
      // Where nothing waits for the engines, any may try: else one that seems dear could never be answered.
      const total = wait + (engines > 0 ? 1000 * own : 0)
      const longest = lowest ? longestLowestWait : longestWait
      if (wait > longest * deadlineMs || total > usableShare * deadlineMs) {
        const message =
          wait > longest * deadlineMs
            ? `The predicted wait is about ${Math.ceil(wait)} ms; requests${lowest ? ' of the lowest priority' : ''} with a deadline of ${Math.ceil(deadlineMs)} ms are accepted up to ${Math.floor(longest * deadlineMs)} ms`
            : `The request is predicted to take about ${Math.ceil(total)} ms; with a deadline of ${Math.ceil(deadlineMs)} ms it may take ${Math.floor(usableShare * deadlineMs)} ms`
        return { admitted: false, message, retryAfterSeconds: total / 1000 }
      }
      foreseen.now += soon
      const { turn } = foreseen
      let unread = true
      const settle = () => {
        if (!unread) return
        unread = false
        if (foreseen.turn === turn) foreseen.now -= soon
        else if (foreseen.turn === turn + 1) foreseen.before -= soon
      }
      return {
        admitted: true,
        earliestArrival: arrived,
        wasRead(engineSeconds, began, ended) {
          settle()
          if (ended - began > longRead) busy = { began, idle: idleMs() }
          if (engineSeconds === undefined || !bytes) return
          const perByte = engineSeconds / bytes
          secondsPerByte += (secondsPerByte === 0 ? 1 : newest) * (perByte - secondsPerByte)
        },
        leave: settle,
      }
    },
  }
}
