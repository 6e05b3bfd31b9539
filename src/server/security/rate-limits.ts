import { valueFor } from '../../base/maps.ts'
import type { Key } from './keyring.ts'

/** Requests and rows that a key has used. */
export interface Usage {
  requests: number
  rows: number
}

/** Size of a full bucket, in seconds of its rate; at least one request. */
const burstSeconds = 1

/** A balance that fills with time. It may be overdrawn: the rows of a request are known only when it has been read. */
class Bucket {
  readonly rate: number
  readonly #most: number
  #balance: number
  #at: number

  constructor(rate: number, now: number) {
    this.rate = rate
    this.#most = Math.max(1, rate * burstSeconds)
    this.#balance = this.#most
    this.#at = now
  }

  /** Seconds until it holds one; 0 if it does. */
  wait(now: number): number {
    this.#fill(now)
    return Math.max(0, (1 - this.#balance) / this.rate)
  }

  take(amount: number, now: number): void {
    this.#fill(now)
    this.#balance -= amount
  }

  #fill(now: number): void {
    this.#balance = Math.min(this.#most, this.#balance + ((now - this.#at) / 1000) * this.rate)
    this.#at = now
  }
}

interface Buckets {
  requests: Bucket | undefined
  rows: Bucket | undefined
}

/**
 * Limits of each key: token buckets of requests and of rows. Each of several processes counts what the others report
 * (`takeUsage`, `addUsage`): together they keep to the limits, but for what they used since the last report.
 */
export class RateLimits {
  readonly #now: () => number
  readonly #buckets = new Map<string, Buckets>()
  #unreported = new Map<string, Usage>()
  /** Requests in progress in this process, of keys that limit them. */
  readonly #inProgress = new Map<string, number>()

  /** `now`: ms, monotonic. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Takes a request. Answers 0, or takes nothing and answers the seconds until the key may ask again. */
  request(key: Key): number {
    const buckets = this.#of(key)
    if (buckets === undefined) return 0
    const now = this.#now()
    const wait = Math.max(buckets.requests?.wait(now) ?? 0, buckets.rows?.wait(now) ?? 0)
    if (wait > 0) return wait
    buckets.requests?.take(1, now)
    this.#report(key.id, 1, 0)
    return 0
  }

  /** Begins a request, which `end` ends; false, and begins none, where the key has as many in progress as it may. */
  begin({ id, concurrentRequests }: Key): boolean {
    if (concurrentRequests === undefined) return true
    const inProgress = this.#inProgress.get(id) ?? 0
    if (inProgress >= concurrentRequests) return false
    this.#inProgress.set(id, inProgress + 1)
    return true
  }

  end({ id }: Key): void {
    const inProgress = this.#inProgress.get(id) ?? 0
    if (inProgress > 1) this.#inProgress.set(id, inProgress - 1)
    else this.#inProgress.delete(id)
  }

  /** Takes the rows of a request. */
  rows(key: Key, rows: number): void {
    const buckets = this.#of(key)
    if (buckets?.rows === undefined) return
    buckets.rows.take(rows, this.#now())
    this.#report(key.id, 0, rows)
  }

  /** The usage in this process since the last call, by id of the key. */
  takeUsage(): Map<string, Usage> {
    const usage = this.#unreported
    this.#unreported = new Map()
    return usage
  }

  /** Counts what other processes used. */
  addUsage(usage: ReadonlyMap<string, Usage>, keys: readonly Key[]): void {
    const now = this.#now()
    for (const key of keys) {
      const used = usage.get(key.id)
      const buckets = used && this.#of(key)
      if (buckets === undefined) continue
      buckets.requests?.take(used!.requests, now)
      buckets.rows?.take(used!.rows, now)
    }
  }

  /** Keys that are no longer there are forgotten. */
  keep(keys: readonly Key[]): void {
    const ids = new Set(keys.map(({ id }) => id))
    for (const id of this.#buckets.keys()) if (!ids.has(id)) this.#buckets.delete(id)
  }

  #of({ id, requestsPerSecond, rowsPerSecond }: Key): Buckets | undefined {
    if (requestsPerSecond === undefined && rowsPerSecond === undefined) return undefined
    const known = this.#buckets.get(id)
    if (known?.requests?.rate === requestsPerSecond && known?.rows?.rate === rowsPerSecond) return known
    const now = this.#now()
    const bucket = (rate: number | undefined) => (rate === undefined ? undefined : new Bucket(rate, now))
    const buckets = { requests: bucket(requestsPerSecond), rows: bucket(rowsPerSecond) }
    this.#buckets.set(id, buckets)
    return buckets
  }

  #report(id: string, requests: number, rows: number): void {
    const usage = valueFor(this.#unreported, id, () => ({ requests: 0, rows: 0 }))
    usage.requests += requests
    usage.rows += rows
  }
}

/** Refusals of a client that are sent immediately: together, and per second in the long run. */
const free = 100
const freePerSecond = 10

/**
 * How long each further refusal is held at least and at most, ms: requests that are held together do not return
 * together.
 */
const shortest = 150
const longest = 450

/**
 * Slows down clients whose requests are refused again and again: a refusal is cheap, and thousands a second would still
 * keep the event loop from other clients. A client that waits for its answers then floods no faster than its
 * connections allow.
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
