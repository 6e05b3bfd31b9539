import type { ModelErrorCode } from '../../base/errors.ts'
import type { Configuration } from '../../schemas/configuration.ts'
import type { ModelChange, Siblings } from '../../server/request/context.ts'
import type { Usage } from '../../server/security/rate-limits.ts'

/*
 * primary → child: `start` (Start), `connection` (its port, with its socket), `started` (all were ready once), `drain`
 *   (all stop), `closed` (no more connections come), `usage` (KeyUsage, in other processes), `ping`; asks `metrics`
 *   (Snapshot), `reasons` (string[], why it isn't ready), `statistics` (InferStatistics[]), `slow` (RequestRecord[]),
 *   `requests` (RequestLists or nothing), `request` (its id → RequestRecord or nothing), `observations` (VersionKey →
 *   Observations or nothing), `drift` (VersionDrift[]), `logCounts` (LogCounts or nothing), `reading` (Reading or
 *   nothing), `change` (ModelChange → Refusal or nothing).
 * child → primary: `serving` (can be given connections), `ready` (it is, or was when all were loaded or had failed: not
 *   yet), `loaded` (its models are, or have failed), `taken` (the oldest connection that it was given), `failed` (a
 *   reason: it can't start), `stop` (a signal: all are to stop), `leave` (it stops alone), `usage` (KeyUsage, since it
 *   last said), `pong`; asks, of all processes, `metrics` (string), `reasons`, `statistics`, `slow`, `requests`,
 *   `request`, `observations`, `drift`, `logCounts` and `change`, as above; `live_history` (LiveHistory), `live` (ms
 *   since 1970 → LiveUpdate since then or nothing).
 */

export interface Start {
  /** The child's share of it. */
  configuration: Configuration
  /** Where the service listens. */
  url: string
  /** Where administration listens, if it has a port of its own. */
  adminUrl: string | undefined
  /** Whether all processes were ready once. */
  started: boolean
  /** It is the one that shows people at a terminal its models. */
  introduces: boolean
  /** Models that were unloaded on demand. */
  unloaded: string[]
}

/** Questions that the primary asks each process of itself, and a process the primary of all. */
export type Questions = Pick<
  Siblings,
  'statistics' | 'slow' | 'requests' | 'request' | 'observations' | 'drift' | 'logCounts'
>

/** Requests and rows that keys have used, by the keys' ids. */
export type KeyUsage = ReadonlyMap<string, Usage>

/** How often processes tell each other, ms. */
export const usageInterval = 100

/** Why a model was not loaded or unloaded. */
export interface Refusal {
  code: ModelErrorCode
  message: string
}

/**
 * How long the primary waits for a process, ms; a process that asks the primary waits twice as long. None waits longer
 * for one that gives no sign of life.
 */
export const longestAnswer = {
  metrics: 1000,
  reasons: 500,
  statistics: 1000,
  slow: 1000,
  requests: 1000,
  request: 1000,
  observations: 1000,
  drift: 1000,
  logCounts: 1000,
  reading: 900,
  live: 1000,
  change: 600_000,
}

/** A process that takes changes. */
export interface Changeable {
  /** Why it refuses, if it does. */
  change(change: ModelChange): Promise<Refusal | undefined>
  /** It answers pings. */
  responsive?: boolean
}

/**
 * Takes models in and out of service in all processes, one change after the other, so that all see the same; and knows
 * what is out of service, for processes that start later.
 */
export class ModelChanges {
  readonly #unloaded = new Set<string>()
  #working: Promise<unknown> = Promise.resolve()

  get unloaded(): string[] {
    return [...this.#unloaded]
  }

  /** `members`: all that there are, or are being started. Answers the first refusal. */
  change(change: ModelChange, members: () => readonly Changeable[]): Promise<Refusal | undefined> {
    const done = this.#working.then(() => this.#change(change, members()))
    // Whatever becomes of it, others go on.
    this.#working = done.catch(() => undefined)
    return done
  }

  async #change(change: ModelChange, members: readonly Changeable[]): Promise<Refusal | undefined> {
    const { action, model } = change
    // Recorded first: a process that starts meanwhile needs it.
    const before = this.#unloaded.has(model)
    if (action === 'unload') this.#unloaded.add(model)
    if (action === 'load') this.#unloaded.delete(model)
    const [first, ...others] = members.toSorted((a, b) => Number(b.responsive) - Number(a.responsive))
    // The others find what the first compiles.
    const refusals = [await first?.change(change)]
    refusals.push(...(await Promise.all(others.map((member) => member.change(change)))))
    const refusal = joined(refusals.filter((answer) => answer !== undefined))
    if (refusal?.code === 'MODEL_NOT_FOUND' && !before) this.#unloaded.delete(model)
    return refusal
  }
}

/** The first refusal; of several processes that have not confirmed it, all are named. */
function joined(refusals: readonly Refusal[]): Refusal | undefined {
  const [first] = refusals
  if (first?.code !== 'NOT_READY') return first
  const messages = refusals.filter(({ code }) => code === first.code).map(({ message }) => message)
  return { ...first, message: [...new Set(messages)].join('; ') }
}
