import type { ModelErrorCode } from '../model/base/errors.ts'
import type { Configuration } from '../schemas/configuration.ts'
import type { Usage } from '../server/security/rate-limits.ts'

/*
 * primary → child: `start` (Start), `connection` (its port, with its socket), `started` (all were ready once), `drain` (all
 *   stop), `closed` (no more connections come), `usage` (KeyUsage, in other processes); asks `metrics` (Snapshot), `reasons`
 *   (string[], why it isn't ready), `statistics` (InferStatistics[]), `slow` (RequestRecord[]), `requests` (RequestLists or
 *   nothing), `request` (its id → RequestRecord or nothing), `observations` (VersionKey → Observations or nothing), `drift`
 *   (VersionDrift[]), `reading` (Reading or nothing), `change` (ModelChange → Refusal or nothing).
 * child → primary: `serving` (can be given connections), `ready` (it is, or was when all were loaded or had failed: not yet),
 *   `loaded` (its models are, or have failed), `taken` (the oldest connection that it was given), `failed` (a reason: it can't
 *   start), `stop` (a signal: all are to stop), `leave` (it stops alone), `usage` (KeyUsage, since it last said); asks, of all
 *   processes, `metrics` (string), `reasons`, `statistics`, `slow`, `requests`, `request`, `observations`, `drift` and
 *   `change`, as above; `live_history` (LiveHistory), `live` (ms since 1970 → LiveUpdate since then or nothing).
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

/** What keys have used, by their ids. */
export type KeyUsage = ReadonlyMap<string, Usage>

/** How often processes tell each other, ms. */
export const usageInterval = 100

/** Why a model was not loaded or unloaded. */
export interface Refusal {
  code: ModelErrorCode
  message: string
}

/**
 * How long the primary waits for a process, ms; a process that asks the primary waits twice as long. None waits longer for one
 * that gives no sign of life.
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
  reading: 900,
  live: 1000,
  change: 600_000,
}
