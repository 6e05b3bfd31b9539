/** Time and scheduling, injected so that tests never sleep. */
export interface Clock {
  /** Milliseconds, monotonic; the origin is arbitrary. */
  now(): number
  /** Calls `callback` once, `ms` from now; answers how to cancel that. */
  after(ms: number, callback: () => void): () => void
  /** Calls `callback` once what arrives at this moment has been taken in. */
  soon(callback: () => void): void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.max(0, ms))
    return () => clearTimeout(timer)
  },
  // The check phase comes right after the poll phase in which sockets are read: requests that arrived together meet.
  soon: (callback) => {
    setImmediate(callback)
  },
}
