import type { ModelStatus, VersionState } from '../../schemas/models.ts'
import type { ModelErrorCode } from '../base/errors.ts'
import { compareVersions } from '../base/versions.ts'
import type { LoadedModel } from '../prediction/contract.ts'
import type { Retry } from './retry.ts'
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
  /** Whether the model has no manifest. */
  manifestless: boolean
  error: string | undefined
  /** The kind of its failure; undefined of an unforeseen one, too. */
  failure: ModelErrorCode | undefined
  /** The next try after an I/O error; undefined where none is planned. */
  retry: Retry | undefined
  /** Requests that hold the version. */
  leases: number
  onReleased: (() => void) | undefined
  /** Set once it drains: resolves when the version is closed. */
  drained: Promise<void> | undefined
}

/** A model as the registry knows it. */
export interface KnownModel {
  name: string
  /** What is on disk; undefined where nothing is. */
  source: SourceModel | undefined
  /** Versions that were loaded, or failed. */
  entries: readonly Entry[]
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
    manifestless: false,
    error: undefined,
    failure: undefined,
    retry: undefined,
    leases: 0,
    onReleased: undefined,
    drained: undefined,
  }
}

/** The highest version that can answer. */
export function highestReady(entries: Iterable<Entry>): Entry | undefined {
  let highest: Entry | undefined
  for (const entry of entries) {
    if (entry.state === 'ready' && (highest === undefined || compareVersions(entry.version, highest.version) > 0))
      highest = entry
  }
  return highest
}

/** Why a model without a ready version has none. */
export function whyNotReady({ entries, source, unloaded }: KnownModel): string {
  if (unloaded) return 'it was unloaded'
  if (entries.some(({ state }) => state === 'loading')) return 'it is being loaded'
  const failed = entries.flatMap(({ version, error }) =>
    error === undefined ? [] : [`version ${version} failed: ${error}`],
  )
  if (failed.length > 0) return failed.join('; ')
  return source === undefined ? 'there is no such model' : (source.problem ?? 'it is waiting to be loaded')
}

/** What `GET /models` says of a model; highest version first. */
export function statusOf(model: KnownModel, isDefault: boolean): ModelStatus {
  const { name, source, entries, unloaded, answering } = model
  const { labels = {}, pin } = source ?? {}
  const problem = problemOf(model)
  const versions = [...entries]
    .sort((a, b) => compareVersions(b.version, a.version))
    .map(({ version, state, model, error }) => ({
      version,
      state,
      ...(model ? { engine: model.engine, precision: model.plan.precision } : {}),
      ...(error === undefined ? {} : { error }),
    }))
  return {
    name,
    default: isDefault,
    ...(unloaded ? { unloaded } : {}),
    ...(answering && !unloaded ? { default_version: answering.version } : {}),
    ...(pin === undefined ? {} : { pin }),
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
    ...(problem === undefined ? {} : { problem }),
    versions,
  }
}

/** What is wrong with a model that may serve all the same. */
function problemOf(model: KnownModel): string | undefined {
  const problems = [model.source?.problem, pinProblem(model)].filter((text) => text !== undefined)
  return problems.length > 0 ? problems.join('; ') : undefined
}

/** Why a pin is not followed. */
export function pinProblem({ source, entries, answering, unloaded }: Omit<KnownModel, 'names'>): string | undefined {
  const pin = source?.pin
  if (source === undefined || pin === undefined || unloaded || answering?.version === pin) return undefined
  const entry = entries.find(({ version }) => version === pin)
  if (entry?.state === 'loading') return undefined
  const there = source.versions.some(({ version }) => version === pin)
  if (there && entry?.state !== 'failed') return undefined
  const why = there ? `it failed: ${entry?.error}` : 'it is not in the folder'
  const instead = answering === undefined ? 'no version answers' : `version ${answering.version} answers`
  return `version ${pin} is pinned, but ${why}; ${instead}`
}
