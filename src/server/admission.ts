import { type EventLoopUtilization, performance } from 'node:perf_hooks'
import type { Clock } from '../model/batching/clock.ts'
import { ModelError } from '../model/errors.ts'

/**
 * Decides from a request's headers alone whether this thread can answer it in time.
 *
 * A flood saturates the thread that parses and answers before any queue behind it fills: then every request is served,
 * and every one too late. So those whose turn would come too late are refused before their body is read, which costs a
 * fraction of answering them.
 */
export interface Admission {
  /** A request has arrived; throws QUEUE_FULL if it can't be answered in so many ms. Else `leave` must follow, once. */
  enter(deadlineMs: number): void
  /** A request that entered has been answered, or its client has gone. */
  leave(): void
}

/** How often the cost of a request is measured at most, ms. */
const interval = 100

/** Measured only where the thread was busy, with so many requests: else what it did besides would count as theirs. */
const leastUtilization = 0.5
const leastRequests = 50

/** What refusing costs, as a share of answering. */
const refusalShare = 0.2

/** Share of the deadline that waiting for this thread may take; the rest is for the queue and the engine. */
const waitShare = 0.5

/**
 * Share of the deadline that this thread may spend on reading requests before it turns to what else waits: batches to
 * hand over, answers to send. What has not been read by then has waited as long in its socket, where no clock sees it.
 */
const turnShare = 0.1

export function createAdmission(
  clock: Clock,
  utilization: (since?: EventLoopUtilization) => EventLoopUtilization = (since) =>
    performance.eventLoopUtilization(since),
): Admission {
  /** Milliseconds of this thread per request; 0 until it has been measured. */
  let cost = 0
  let active = 0
  /** When the event loop's turn began to read requests; undefined where it has not. */
  let turn: number | undefined
  let served = 0
  let refused = 0
  let sampled = clock.now()
  let last = utilization()

  function sample(): void {
    const requests = served + refusalShare * refused
    const { utilization: busy, active: busyMs } = utilization(last)
    if (requests >= leastRequests && busy >= leastUtilization) cost = (cost + busyMs / requests) / (cost === 0 ? 1 : 2)
    sampled = clock.now()
    last = utilization()
    served = 0
    refused = 0
  }

  return {
    enter(deadlineMs) {
      const now = clock.now()
      if (now - sampled >= interval) sample()
      if (turn === undefined) {
        turn = now
        clock.soon(() => {
          turn = undefined
        })
      }
      const wait = active * cost
      if (wait > waitShare * deadlineMs || now - turn > turnShare * deadlineMs) {
        refused++
        const message = `The request can't be answered before its deadline: ${active} others are under way`
        throw new ModelError('QUEUE_FULL', message, { retryAfterSeconds: wait / 1000 })
      }
      active++
    },
    leave() {
      active--
      served++
    },
  }
}
