/** Time and scheduling, injected so that tests never sleep. */
export interface Clock {
  /** Milliseconds, monotonic; the origin is arbitrary. */
  now(): number
  /** Calls `callback` once, `ms` from now; returns a function that cancels it. */
  after(ms: number, callback: () => void): () => void
  /** Calls `callback` at the end of this turn of the event loop. */
  soon(callback: () => void): void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.max(0, ms))
    return () => clearTimeout(timer)
  },
  // The check phase follows the poll phase, which reads sockets: requests that arrived together are handled together.
  soon: (callback) => {
    setImmediate(callback)
  },
}

/** Milliseconds since 1970, which may jump when the system's clock is set. */
export const wallClock: Pick<Clock, 'now' | 'after'> = { now: Date.now, after: systemClock.after }
