import type { IncomingHttpHeaders } from 'node:http'
import type { Scope } from '../../schemas/keys.ts'
import type { Area } from './areas.ts'
import type { Key, Keyring } from './keyring.ts'
import { RateLimits } from './rate-limits.ts'

/** Why a request is refused. */
export interface Denial {
  code: 'UNAUTHORIZED' | 'FORBIDDEN' | 'RATE_LIMITED'
  /** For the metrics. */
  reason: DenialReason
  detail: string
  /** RATE_LIMITED: seconds until it is worth while to come again. */
  retryAfterSeconds?: number
}

export const denialReasons = ['missing', 'unknown', 'expired', 'scope', 'rate'] as const
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
 * Who may ask what. Plain functions of a request's headers, so that any front can call them; nothing is kept of a key that is
 * presented.
 */
export class Guard {
  readonly limits: RateLimits
  readonly #open: ReadonlySet<Area>
  readonly #wallClock: () => number
  #keyring: Keyring

  constructor({ keyring, open, now, wallClock = Date.now }: GuardOptions) {
    this.limits = new RateLimits(now)
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

  /** The key of a request to an area; undefined where the area is open to all, or why the request is refused. */
  enter(headers: IncomingHttpHeaders, area: Area): Key | Denial | undefined {
    if (this.#open.has(area)) return undefined
    const presented = presentedKey(headers)
    if (presented === undefined)
      return unauthorized('missing', 'A key is needed: Authorization: Bearer <key>, or x-api-key: <key>')
    const key = this.#keyring.find(presented)
    if (key === undefined) return unauthorized('unknown', 'The key is not known here')
    if (key.expires <= this.#wallClock()) return unauthorized('expired', `The key ${key.id} has expired`)
    const scope = scopeOf(area)
    if (scope !== undefined && !key.scopes.has(scope))
      return { code: 'FORBIDDEN', reason: 'scope', detail: `The key ${key.id} has not the scope ${scope}` }
    const wait = this.limits.request(key)
    if (wait === 0) return key
    const detail = `The key ${key.id} has used up its limit; the next request can be taken in ${wait.toFixed(3)} s`
    return { code: 'RATE_LIMITED', reason: 'rate', detail, retryAfterSeconds: wait }
  }
}

/** Any key opens what has no scope. */
function scopeOf(area: Area): Scope | undefined {
  return area === 'probes' || area === 'docs' ? undefined : area
}

function unauthorized(reason: DenialReason, detail: string): Denial {
  return { code: 'UNAUTHORIZED', reason, detail }
}

/** What the client presents as its key; undefined where it presents none. */
function presentedKey({ authorization, 'x-api-key': apiKey }: IncomingHttpHeaders): string | undefined {
  if (typeof apiKey === 'string' && apiKey !== '') return apiKey
  const [, bearer] = /^bearer +(\S+) *$/i.exec(authorization ?? '') ?? []
  return bearer
}
