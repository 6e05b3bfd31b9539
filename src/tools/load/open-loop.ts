import type { Clock } from '../../base/clock.ts'
import { createUniform } from '../../base/hash.ts'

/** Outcome of a request: an HTTP status or an error. */
export type Reply = { status: number } | { error: string }

/** Sends requests. It must be cheap, because it shares the machine with the server. */
export interface Transport {
  /** Sends request `index` and calls `done` once. Returns false, without calling `done`, if no connection is free. */
  send(index: number, done: (reply: Reply) => void): boolean
}

export interface OpenLoopOptions {
  /** Scheduled time of each request, ms from the start, ascending. */
  schedule: Float64Array
  transport: Transport
  clock: Clock
  /** Deadline after the scheduled time, ms. */
  deadlineMs: number
  /** Longest wait for answers after the last request, ms; the rest have failed. */
  graceMs: number
  /** Called for each answer with status 200, with its latency from the scheduled time, ms. */
  onAnswer?(index: number, latency: number): void
}

/** Whether a status says that the server sheds the request. */
export function isRejection(status: number): boolean {
  return status === 429 || status === 503 || status === 504
}

/** Outcomes of requests; their sum is the number of scheduled requests. */
export interface Outcomes {
  /** 200 within the deadline: the goodput. */
  good: number
  /** 200 after the deadline. */
  late: number
  /** 429, 503 or 504. */
  rejected: number
  /** Another status, a broken connection, or no answer at all. */
  failed: number
  /** Not sent: all connections were busy. */
  noConnection: number
}

export interface OpenLoopResult extends Outcomes {
  scheduled: number
  /** Latency of answers with status 200, from the scheduled time, ms. */
  latency: Quantiles
  /** Latency of rejections, from the scheduled time, ms. */
  rejection: Quantiles
  /** Delay between the scheduled time and sending, caused by the generator, ms. */
  lateness: Quantiles
  /** Up to ten different reasons for failures. */
  reasons: string[]
}

/**
 * Sends requests at their scheduled times, regardless of earlier answers, and measures latency from the scheduled time.
 * A stall therefore counts for every request that arrives during it.
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
          options.onAnswer?.(index, latency)
          if (latency <= deadlineMs) outcomes.good++
          else outcomes.late++
        } else if (isRejection(reply.status)) {
          rejections.push(clock.now() - due)
          outcomes.rejected++
        } else fail(`status ${reply.status}`)
        settle()
      })
      if (sent) return
      outcomes.noConnection++
      settle()
    }

    // Timers have millisecond resolution, so requests of the same millisecond are sent together: spinning would take a
    // core.
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

/**
 * Arrival times of a Poisson process (independent users), ms from its start, ascending.
 *
 * Gaps are exponential with mean 1000 / `rate` (requests per second). The same seed gives the same times.
 */
export function poissonSchedule(rate: number, seconds: number, seed: number): Float64Array {
  if (!(rate > 0)) throw new RangeError(`the rate must be greater than 0, not ${rate}`)
  const random = createUniform(seed)
  const times: number[] = []
  for (let at = 0; ; ) {
    // 1 − u is in (0, 1], so its logarithm is finite.
    at -= (Math.log(1 - random()) / rate) * 1000
    if (at >= seconds * 1000) return Float64Array.from(times)
    times.push(at)
  }
}

/** Arrivals at each of these rates in turn (requests per second), each for `seconds`. */
export interface SteppedSchedule {
  times: Float64Array
  /** The first request of each step, and the number of requests. */
  starts: number[]
}

export function steppedSchedule(rates: readonly number[], seconds: number, seed: number): SteppedSchedule {
  const times: number[] = []
  const starts: number[] = []
  rates.forEach((rate, step) => {
    starts.push(times.length)
    for (const at of poissonSchedule(rate, seconds, seed + step)) times.push(step * seconds * 1000 + at)
  })
  return { times: Float64Array.from(times), starts: [...starts, times.length] }
}

/** The quantile `q` by nearest rank; NaN without values. */
export function quantile(values: ArrayLike<number>, q: number): number {
  return ofSorted(Float64Array.from(values).sort(), q)
}

export interface Quantiles {
  p50: number
  p99: number
  p999: number
  max: number
}

export function quantiles(values: ArrayLike<number>): Quantiles {
  const sorted = Float64Array.from(values).sort()
  return {
    p50: ofSorted(sorted, 0.5),
    p99: ofSorted(sorted, 0.99),
    p999: ofSorted(sorted, 0.999),
    max: ofSorted(sorted, 1),
  }
}

function ofSorted(sorted: Float64Array, q: number): number {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN
}
