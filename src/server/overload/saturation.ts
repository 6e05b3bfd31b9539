import type { Clock } from '../../base/clock.ts'

/** How full the service is, from 0 to 1: a number to scale by. */
export interface Saturation {
  /** Looks at the sources; called about once a second. */
  sample(): void
  /** The smoothed value. */
  readonly value: number
}

export interface SaturationOptions {
  clock: Pick<Clock, 'now'>
  /** Time that the event loop has been busy since its start, ms. */
  loopBusyMs(): number
  /** Time that engine calls have taken, of all workers, s. */
  workerSeconds(): number
  /** Calls computed in parallel. */
  workers: number
  /** Seconds until a request that came now would be computed. */
  predictedWait(): number
  /** The usual deadline of requests, ms. */
  deadlineMs: number
}

/** Share of a deadline that a request may wait: admission refuses requests that would wait longer. */
const longestWait = 0.5

/** Time in which most of a change shows, ms: longer than a burst, shorter than a new instance needs to start. */
const smoothing = 10_000

/**
 * The largest of three shares, smoothed: the busy time of the event loop, the busy time of the workers, and the
 * predicted wait out of the longest wait that still leaves time to answer. At 1 the service refuses requests.
 */
export function createSaturation(options: SaturationOptions): Saturation {
  const { clock, loopBusyMs, workerSeconds, workers, predictedWait, deadlineMs } = options
  let at = clock.now()
  let loop = loopBusyMs()
  let busy = workerSeconds()
  let value = 0
  return {
    sample() {
      const now = clock.now()
      const ms = now - at
      if (ms <= 0) return
      const [newLoop, newBusy] = [loopBusyMs(), workerSeconds()]
      const share = Math.max(
        (newLoop - loop) / ms,
        (1000 * (newBusy - busy)) / (ms * workers),
        (1000 * predictedWait()) / (longestWait * deadlineMs),
      )
      value += (1 - Math.exp(-ms / smoothing)) * (Math.min(1, Math.max(0, share)) - value)
      at = now
      loop = newLoop
      busy = newBusy
    },
    get value() {
      return value
    },
  }
}
