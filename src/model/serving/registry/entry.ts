import { isTransient, ModelError, type ModelErrorCode } from '../../../base/errors.ts'
import { compareVersions } from '../../../base/names.ts'
import type { VersionState } from '../../../schemas/models.ts'
import type { LoadedModel } from '../prediction/loaded-model.ts'
import type { Gap, Incompatibility } from './compatibility.ts'
import type { SourceModel } from './source.ts'

/**
 * A version's life:
 *
 *   (on disk) → loading → ready → draining → (gone)
 *                  ↓
 *               failed → (gone, or loading again when one of its files changes; after an I/O error, with back-off)
 */
export interface Entry {
  version: string
  stamp: string
  state: VersionState
  model: LoadedModel | undefined
  /** A file beside its own, such as its catalogue, has changed since it was loaded. */
  outdated: boolean
  /** Why it failed; of a version that is ready: why its files, which have changed, are not served. */
  error: string | undefined
  /** The kind of its failure; undefined of an unforeseen one, too. */
  failure: ModelErrorCode | undefined
  /** The next try after an I/O error; undefined where none is planned. */
  retry: Retry | undefined
  /**
   * Its incompatibility, where it failed for that, where it must not take over, and where it took over from a lower
   * version, or from other files of its own.
   */
  incompatibility: Incompatibility | undefined
  /** Versions that the comparison left out when it took over, though it found nothing. */
  gap: Gap | undefined
  /** The time at which it took effect, of its schedule; undefined where it has none, or that has not come. */
  activated: number | undefined
  /** Whether it is the version that is pinned. */
  isPinned: boolean
  /** Requests that hold the version. */
  leases: number
  onReleased: (() => void) | undefined
  /** Set once it drains: resolves when the version is closed. */
  drained: Promise<void> | undefined
}

/** A model as the registry knows it. */
export interface KnownModel {
  name: string
  /** The model's folder; undefined if there is none. */
  source: SourceModel | undefined
  /** Versions that were loaded, or failed. */
  entries: readonly Entry[]
  /** Versions that don't answer requests that name none yet. */
  scheduled: ReadonlySet<string>
  /** It was taken out of service. */
  unloaded: boolean
  /** Names of all models on disk. */
  names(): string[]
  /** The version that answers requests that name none. */
  answering: Entry | undefined
}

export function newEntry(version: string, stamp: string): Entry {
  return {
    version,
    stamp,
    state: 'loading',
    model: undefined,
    outdated: false,
    error: undefined,
    failure: undefined,
    retry: undefined,
    incompatibility: undefined,
    gap: undefined,
    activated: undefined,
    isPinned: false,
    leases: 0,
    onReleased: undefined,
    drained: undefined,
  }
}

/** The highest version that can answer and may. */
export function highestReady(entries: Iterable<Entry>, waiting: ReadonlySet<string>): Entry | undefined {
  let highest: Entry | undefined
  for (const entry of entries) {
    if (entry.state !== 'ready' || waiting.has(entry.version)) continue
    if (highest === undefined || compareVersions(entry.version, highest.version) > 0) highest = entry
  }
  return highest
}

/** When a version that an I/O error or a lost thread stopped is loaded again. */
export interface Retry {
  /** Failures in a row. */
  failures: number
  /** In the registry's time, ms. */
  at: number
}

/** Delay after the first failure, ms; doubled for each further one. */
const firstDelay = 1000
/** A missing file may never appear; trying once per minute costs little. */
const longestDelay = 60_000

/** The next try after `error`; undefined where trying again would not help. `former`: the try that failed. */
export function nextRetry(error: unknown, former: Retry | undefined, now: number): Retry | undefined {
  if (!isTransient(error)) return undefined
  const failures = (former?.failures ?? 0) + 1
  if (error instanceof ModelError && failures > error.mostRetries) return undefined
  return { failures, at: now + Math.min(longestDelay, firstDelay * 2 ** (failures - 1)) }
}

export function retryState(retry: Retry | undefined, now: number): 'waiting' | 'due' | undefined {
  if (retry === undefined) return undefined
  return now < retry.at ? 'waiting' : 'due'
}
