import { compareVersions } from '../../../base/names.ts'
import type { VersionState } from '../../../schemas/models.ts'
import type { SourceVersion } from './source.ts'

/** A version that the registry knows. */
export interface KnownVersion {
  version: string
  state: VersionState
  stamp: string
  /** An I/O error stopped the last load: whether it is time to try again, though no file has changed. */
  retry?: 'waiting' | 'due' | undefined
  /** It is read again even though none of its files has changed. */
  outdated?: boolean
  /** It is ready, but would refuse what the version that answers accepts, and such versions don't take over. */
  incompatible?: boolean
  /** The `activateAt` that has come for it: setting the clock back changes nothing. */
  activated?: number | undefined
}

/** The versions of a model that should exist, and those that do. */
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
  /** By the wall clock, ms since 1970. */
  time: number
}

export interface Actions {
  /** The version that is to answer requests that name none; undefined where none can. */
  target: string | undefined
  load: SourceVersion[]
  /** Versions that answer, and whose files have changed. */
  refresh: SourceVersion[]
  unload: string[]
  /** Incompatible versions that are needed for nothing else: they are unloaded, and count as failed. */
  refuse: string[]
  /** Failed versions that are gone, that have changed, or whose retry is due. */
  forget: string[]
  /** Versions that don't answer requests that name none yet: their time has not come, or can't be read. */
  scheduled: string[]
}

/**
 * The next actions for one model: a pure function of the versions that should exist and those that do.
 *
 * `latest` keeps the target, those that have a label, and for a while the one that answered before; `all` keeps every
 * version. The target is the highest version that loads, is compatible and whose time has come, or the one that is
 * pinned. The next one that will be is loaded in advance. A version is unloaded only once its successor answers, so
 * that there is always one to ask; a version that failed is tried again when any of its files has changed, or after a
 * delay where an I/O error stopped it.
 */
export function nextActions({ mode, source, labels, known, pin, serving, kept, time }: Situation): Actions {
  const onDisk = [...source].sort((a, b) => compareVersions(b.version, a.version))
  const failed = new Map(known.filter(({ state }) => state === 'failed').map((entry) => [entry.version, entry]))
  const forget = [...failed.values()].filter(
    ({ version, stamp, retry }) =>
      retry === 'due' || onDisk.find((entry) => entry.version === version)?.stamp !== stamp,
  )
  for (const { version } of forget) failed.delete(version)

  const isGood = ({ version }: SourceVersion) => !failed.has(version)
  const good = onDisk.filter(isGood)
  const state = (version: string) => known.find((entry) => entry.version === version && !forget.includes(entry))?.state
  const isReady = (version: string) => state(version) === 'ready'
  // A file that can't be read, as while it is written, doesn't take away the version that answers.
  const waits = ({ version, activateAt = 0, problem }: SourceVersion) =>
    problem === undefined
      ? activateAt > time && known.find((entry) => entry.version === version)?.activated !== activateAt
      : version !== serving
  const incompatible = new Set(known.filter((entry) => entry.incompatible).map(({ version }) => version))
  const mayTakeOver = (version: SourceVersion) => !incompatible.has(version.version)
  const target = targetOf({ good, onDisk, pin, serving, isReady, waits, mayTakeOver })
  const scheduled = onDisk.filter((version) => version.version !== target && waits(version))
  const next = pin === undefined ? nextOf(scheduled.filter(isGood).filter(mayTakeOver), target) : []

  const labelled = new Set(Object.values(labels))
  const successorReady = target === undefined ? onDisk.length === 0 : isReady(target)
  const keeps = (version: string) => version === kept && isReady(version) && successorReady && next.length === 0
  const isWanted = (one: SourceVersion) =>
    mode === 'all' || one.version === target || labelled.has(one.version) || keeps(one.version) || next.includes(one)
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
        (entry.outdated || entry.stamp !== stamp) &&
        entry.retry !== 'waiting',
    )
  const going = unwanted.filter(goes).map(({ version }) => version)
  return {
    target,
    load,
    refresh: wanted.filter(isStale),
    unload: going.filter((version) => !incompatible.has(version)),
    refuse: going.filter((version) => incompatible.has(version)),
    forget: forget.map(({ version }) => version),
    scheduled: scheduled.map(({ version }) => version),
  }
}

/**
 * Versions to load before their time, above the target: the first whose time comes, and those whose time can't be read,
 * which fail.
 */
function nextOf(scheduled: readonly SourceVersion[], target = '0'): SourceVersion[] {
  const higher = scheduled.filter(({ version }) => compareVersions(version, target) > 0)
  const timed = higher.filter(({ problem }) => problem === undefined)
  const [first] = timed.sort((a, b) => a.activateAt! - b.activateAt! || compareVersions(b.version, a.version))
  return higher.filter((version) => version === first || version.problem !== undefined)
}

interface TargetInput extends Pick<Situation, 'pin' | 'serving'> {
  good: readonly SourceVersion[]
  onDisk: readonly SourceVersion[]
  isReady(version: string): boolean
  waits(version: SourceVersion): boolean
  mayTakeOver(version: SourceVersion): boolean
}

/**
 * A pin that can't be followed leaves what serves; a pinned version that serves stays, though its folder is gone. So
 * does what serves where every version waits for its time.
 */
function targetOf({ good, onDisk, pin, serving, isReady, waits, mayTakeOver }: TargetInput): string | undefined {
  const stays = serving !== undefined && isReady(serving) && onDisk.some(({ version }) => version === serving)
  const next = good.find((version) => mayTakeOver(version) && !waits(version))
  const highest = next?.version ?? (stays ? serving : undefined)
  if (pin === undefined || onDisk.length === 0) return highest
  if (isReady(pin) || good.some(({ version }) => version === pin)) return pin
  return stays ? serving : highest
}
