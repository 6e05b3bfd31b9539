/** Refusals of a client that are sent immediately: together, and per second in the long run. */
const free = 100
const freePerSecond = 10

/** How long each further refusal is held at least and at most, ms: requests that are held together do not return together. */
const shortest = 150
const longest = 450

/**
 * Slows down clients whose requests are refused again and again: a refusal is cheap, and thousands a second would still keep
 * the event loop from other clients. A client that waits for its answers then floods no faster than its connections allow.
 */
export class RefusalDelay {
  readonly #now: () => number
  /** By key: refusals that are free still, and when that was counted, ms. */
  readonly #left = new Map<string, { free: number; at: number }>()

  /** `now`: ms, monotonic. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Counts a refusal of a key, or without one of all who have none; answers for how long to hold it, ms. */
  next(key: string): number {
    const now = this.#now()
    const left = this.#left.get(key) ?? { free, at: now }
    left.free = Math.min(free, left.free + ((now - left.at) * freePerSecond) / 1000)
    left.at = now
    this.#left.set(key, left)
    if (left.free < 1) return shortest + Math.random() * (longest - shortest)
    left.free--
    return 0
  }
}
