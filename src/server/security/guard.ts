import type { IncomingHttpHeaders } from 'node:http'
import type { Scope } from '../../schemas/keys.ts'
import type { Area } from './areas.ts'
import type { Key, Keyring } from './keyring.ts'
import { RateLimits, RefusalDelay } from './rate-limits.ts'

/** Why a request is refused. */
export interface Denial {
  /** The id of its key; undefined where it has none that is known. */
  client: string | undefined
  code: 'UNAUTHORIZED' | 'FORBIDDEN' | 'RATE_LIMITED'
  /** For the metrics. */
  reason: DenialReason
  detail: string
  /** How long the refusal is to be held, ms: beyond some a second, each is. */
  delayMs: number
  /** RATE_LIMITED: seconds until it is worth while to come again. */
  retryAfterSeconds?: number
}

export const denialReasons = ['missing', 'unknown', 'expired', 'scope', 'rate', 'concurrency'] as const
export type DenialReason = (typeof denialReasons)[number]

export interface GuardOptions {
  keyring: Keyring
  /** Areas that need no key. */
  open: ReadonlySet<Area>
  /** ms, monotonic. */
  now(): number
  /** ms since 1970; replaceable in tests. */
  wallClock?(): number
}

/**
 * Who may ask what. Plain functions of a request's headers, so that any front can call them; nothing is kept of a key
 * that is presented.
 */
export class Guard {
  readonly limits: RateLimits
  readonly #open: ReadonlySet<Area>
  readonly #wallClock: () => number
  readonly #delay: RefusalDelay
  #keyring: Keyring

  constructor({ keyring, open, now, wallClock = Date.now }: GuardOptions) {
    this.limits = new RateLimits(now)
    this.#delay = new RefusalDelay(now)
    this.#open = open
    this.#wallClock = wallClock
    this.#keyring = keyring
  }

  get keys(): readonly Key[] {
    return this.#keyring.keys
  }

  /** Other keys, from now on. */
  replace(keyring: Keyring): void {
    this.#keyring = keyring
    this.limits.keep(keyring.keys)
  }

  /**
   * The key of a request to an area; undefined where the area is open to all, or why the request is refused. Where the
   * key limits requests in progress, `limits.end` has to be called when the request has ended.
   */
  enter(headers: IncomingHttpHeaders, area: Area): Key | Denial | undefined {
    if (area === 'console') return undefined
    // Where predictions are open to all, there is nothing to hide of unknown paths.
    if (this.#open.has(area === 'unknown' ? 'predict' : area)) return undefined
    const presented = presentedKey(headers)
    if (presented === undefined)
      return this.#unauthorized('missing', 'A key is needed: Authorization: Bearer <key>, or x-api-key: <key>')
    const key = this.#keyring.find(presented)
    if (key === undefined) return this.#unauthorized('unknown', 'The key is not known here')
    if (key.expires <= this.#wallClock()) return this.#unauthorized('expired', `The key ${key.id} has expired`)
    const scope = scopeOf(area)
    if (scope !== undefined && !key.scopes.has(scope))
      return this.#deny(key.id, {
        code: 'FORBIDDEN',
        reason: 'scope',
        detail: `The key ${key.id} lacks the scope ${scope}`,
      })
    if (!this.limits.begin(key)) {
      const detail = `The key ${key.id} has ${key.concurrentRequests} requests in progress, as many as it may`
      return this.#deny(key.id, { code: 'RATE_LIMITED', reason: 'concurrency', detail, retryAfterSeconds: 1 })
    }
    const wait = this.limits.request(key)
    if (wait === 0) return key
    this.limits.end(key)
    const detail = `The key ${key.id} has used up its limit; the next request can be taken in ${wait.toFixed(3)} s`
    return this.#deny(key.id, { code: 'RATE_LIMITED', reason: 'rate', detail, retryAfterSeconds: wait })
  }

  /** Whether a key that was accepted once still opens an area. */
  isOpen({ id }: Key, scope: Scope): boolean {
    const key = this.#keyring.keys.find((one) => one.id === id)
    return key !== undefined && key.expires > this.#wallClock() && key.scopes.has(scope)
  }

  #unauthorized(reason: DenialReason, detail: string): Denial {
    return this.#deny(undefined, { code: 'UNAUTHORIZED', reason, detail })
  }

  /** The denial of a key, or of all who have none. */
  #deny(client: string | undefined, denial: Omit<Denial, 'client' | 'delayMs'>): Denial {
    return { ...denial, client, delayMs: this.#delay.next(client ?? '') }
  }
}

/** Any key opens what has no scope. */
function scopeOf(area: Area): Scope | undefined {
  return area === 'probes' || area === 'docs' || area === 'console' || area === 'unknown' ? undefined : area
}

/** The key that the client presents; undefined where it presents none. */
function presentedKey({ authorization, 'x-api-key': apiKey }: IncomingHttpHeaders): string | undefined {
  if (typeof apiKey === 'string' && apiKey !== '') return apiKey
  const [, bearer] = /^bearer +(\S+) *$/i.exec(authorization ?? '') ?? []
  return bearer
}
