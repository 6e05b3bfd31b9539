import type { Clock } from '../src/model/base/clock.ts'
import { type Quantiles, quantiles } from './quantile.ts'

/** What became of a request: an HTTP status, or why there is none. */
export type Reply = { status: number } | { error: string }

/** Sends requests; must be cheap, since what it costs is taken from the server on the same machine. */
export interface Transport {
  /** Sends request number `index`, and calls `done` once. False where there is no connection for it: `done` isn't called. */
  send(index: number, done: (reply: Reply) => void): boolean
}

export interface OpenLoopOptions {
  /** When each request is to be sent, ms from the start, ascending. */
  schedule: Float64Array
  transport: Transport
  clock: Clock
  /** An answer later than this after its scheduled time is of no use, ms. */
  deadlineMs: number
  /** How long to wait for answers after the last request; then the rest have failed, ms. */
  graceMs: number
}

/** How requests ended; together they are all that were scheduled. */
export interface Outcomes {
  /** 200 within the deadline: the goodput. */
  good: number
  /** 200, but later than that. */
  late: number
  /** 429, 503 or 504: refused or given up, and said so. */
  rejected: number
  /** Another status, a broken connection, or no answer at all. */
  failed: number
  /** Not sent: all connections were busy, as many as may be open. */
  noConnection: number
}

export interface OpenLoopResult extends Outcomes {
  scheduled: number
  /** Of answers with status 200, from the scheduled time, ms. */
  latency: Quantiles
  /** Of rejections, from the scheduled time, ms. */
  rejection: Quantiles
  /** How long after its scheduled time a request was handed to the transport, ms: the generator's own fault. */
  lateness: Quantiles
  /** Up to ten different reasons of failures. */
  reasons: string[]
}

/**
 * Sends requests when the schedule says, whether or not earlier ones have been answered, and measures latency from the
 * scheduled time: so a server that stalls is charged for every request that would have come meanwhile.
 */
export function runOpenLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const { schedule, transport, clock, deadlineMs, graceMs } = options
  const outcomes: Outcomes = { good: 0, late: 0, rejected: 0, failed: 0, noConnection: 0 }
  const latencies: number[] = []
  const rejections: number[] = []
  const lateness = new Float64Array(schedule.length)
  const reasons = new Set<string>()
  const start = clock.now()
  let next = 0
  let settled = 0
  let over = false

  return new Promise((resolve) => {
    function finish(): void {
      over = true
      const unanswered = schedule.length - settled
      if (unanswered > 0) fail('no answer', unanswered)
      resolve({
        ...outcomes,
        scheduled: schedule.length,
        latency: quantiles(latencies),
        rejection: quantiles(rejections),
        lateness: quantiles(lateness),
        reasons: [...reasons],
      })
    }

    function fail(reason: string, count = 1): void {
      outcomes.failed += count
      if (reasons.size < 10) reasons.add(reason)
    }

    function settle(): void {
      settled++
      if (settled === schedule.length) {
        cancelGrace()
        finish()
      }
    }

    function launch(index: number): void {
      const due = start + schedule[index]!
      lateness[index] = clock.now() - due
      const sent = transport.send(index, (reply) => {
        if (over) return
        if ('error' in reply) fail(reply.error)
        else if (reply.status === 200) {
          const latency = clock.now() - due
          latencies.push(latency)
          if (latency <= deadlineMs) outcomes.good++
          else outcomes.late++
        } else if (reply.status === 429 || reply.status === 503 || reply.status === 504) {
          rejections.push(clock.now() - due)
          outcomes.rejected++
        } else fail(`status ${reply.status}`)
        settle()
      })
      if (sent) return
      outcomes.noConnection++
      settle()
    }

    // Timers count whole milliseconds, so what fell due in one leaves together: spinning would take a core from the server.
    function tick(): void {
      while (next < schedule.length && start + schedule[next]! <= clock.now()) launch(next++)
      if (next < schedule.length) clock.after(start + schedule[next]! - clock.now(), tick)
    }

    let cancelGrace = () => {}
    if (schedule.length === 0) return finish()
    cancelGrace = clock.after(schedule.at(-1)! + graceMs, finish)
    tick()
  })
}
