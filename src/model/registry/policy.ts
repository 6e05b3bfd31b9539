import type { VersionState } from '../../schemas/models.ts'
import { compareVersions } from '../base/versions.ts'
import type { SourceVersion } from './source.ts'

/** A version that the registry knows. */
export interface KnownVersion {
  version: string
  state: VersionState
  stamp: string
  /** An I/O error stopped the last load: whether it is time to try again, though no file has changed. */
  retry?: 'waiting' | 'due' | undefined
  /** It was read without a manifest, which may have been on its way: it is read again when any of its files has changed. */
  manifestless?: boolean
}

/** What should exist of a model, and what does. */
export interface Situation {
  mode: 'latest' | 'all'
  source: readonly SourceVersion[]
  labels: Readonly<Record<string, string>>
  known: readonly KnownVersion[]
  /** The version that is to answer requests that name none, whatever else there is. */
  pin?: string | undefined
  /** The version that answers them now. */
  serving?: string | undefined
  /** The version that answered them before, while it is kept for a roll-back. */
  kept?: string | undefined
}

export interface Actions {
  /** The version that is to answer requests that name none; undefined where none can. */
  target: string | undefined
  load: SourceVersion[]
  /** Versions that answer, to be replaced by what is on disk now. */
  refresh: SourceVersion[]
  unload: string[]
  /** Failed versions that are gone, that have changed, or whose retry is due. */
  forget: string[]
}

/**
 * The next actions for one model: a pure function of the versions that should exist and those that do.
 *
 * `latest` keeps the target, those that have a label, and for a while the one that answered before; `all` keeps every version.
 * The target is the highest version that loads, or the one that is pinned. A version is unloaded only once its successor
 * answers, so that there is always one to ask; a version that failed is tried again when any of its files has changed, or
 * after a delay where an I/O error stopped it.
 */
export function nextActions({ mode, source, labels, known, pin, serving, kept }: Situation): Actions {
  const onDisk = [...source].sort((a, b) => compareVersions(b.version, a.version))
  const failed = new Map(known.filter(({ state }) => state === 'failed').map((entry) => [entry.version, entry]))
  const forget = [...failed.values()].filter(
    ({ version, stamp, retry }) =>
      retry === 'due' || onDisk.find((entry) => entry.version === version)?.stamp !== stamp,
  )
  for (const { version } of forget) failed.delete(version)

  const good = onDisk.filter(({ version }) => !failed.has(version))
  const state = (version: string) => known.find((entry) => entry.version === version && !forget.includes(entry))?.state
  const isReady = (version: string) => state(version) === 'ready'
  const target = targetOf(good, onDisk, pin, serving, isReady)

  const labelled = new Set(Object.values(labels))
  const successorReady = target === undefined ? onDisk.length === 0 : isReady(target)
  const keeps = (version: string) => version === kept && isReady(version) && successorReady
  const isWanted = ({ version }: SourceVersion) =>
    mode === 'all' || version === target || labelled.has(version) || keeps(version)
  const wanted = good.filter(isWanted).sort((a, b) => Number(b.version === target) - Number(a.version === target))

  const load = wanted.filter(({ version }) => state(version) === undefined)
  const unwanted = known.filter(
    ({ state, version }) =>
      state === 'ready' && version !== target && !wanted.some((entry) => entry.version === version),
  )
  // While the next target is loaded, what is kept for a roll-back makes room for it.
  const goes = ({ version }: KnownVersion) =>
    successorReady || (version === kept && version !== serving && serving !== undefined && isReady(serving))
  const isStale = ({ version, stamp }: SourceVersion) =>
    known.some(
      (entry) =>
        entry.version === version &&
        entry.state === 'ready' &&
        entry.manifestless &&
        entry.stamp !== stamp &&
        entry.retry !== 'waiting',
    )
  return {
    target,
    load,
    refresh: wanted.filter(isStale),
    unload: unwanted.filter(goes).map(({ version }) => version),
    forget: forget.map(({ version }) => version),
  }
}

/** A pin that can't be followed leaves what serves; a pinned version that serves stays, though its folder is gone. */
function targetOf(
  good: readonly SourceVersion[],
  onDisk: readonly SourceVersion[],
  pin: string | undefined,
  serving: string | undefined,
  isReady: (version: string) => boolean,
): string | undefined {
  const highest = good[0]?.version
  if (pin === undefined || onDisk.length === 0) return highest
  if (isReady(pin) || good.some(({ version }) => version === pin)) return pin
  const stays = serving !== undefined && isReady(serving) && onDisk.some(({ version }) => version === serving)
  return stays ? serving : highest
}
