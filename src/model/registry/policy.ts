import type { VersionState } from '../../schemas/models.ts'
import type { SourceVersion } from './source.ts'

/** A version that the registry knows. */
export interface KnownVersion {
  version: string
  state: VersionState
  stamp: string
  /** It was read without a manifest, which may have been on its way: it is read again when any of its files has changed. */
  bare?: boolean
}

export interface Actions {
  load: SourceVersion[]
  /** Versions that answer, to be replaced by what is on disk now. */
  refresh: SourceVersion[]
  unload: string[]
  /** Failed versions that are gone, or have changed and are to be tried again. */
  forget: string[]
}

/**
 * What to do next for one model: a pure function of what should exist and what does.
 *
 * `latest` keeps the highest version that loads, and those that have a label; `all` keeps every version. A version is
 * unloaded only once its successor answers, so that there is always one to ask; a version that failed is tried again
 * when any of its files has changed.
 */
export function nextActions(
  mode: 'latest' | 'all',
  source: readonly SourceVersion[],
  labels: Readonly<Record<string, string>>,
  known: readonly KnownVersion[],
): Actions {
  const onDisk = [...source].sort((a, b) => compareVersions(b.version, a.version))
  const failed = new Map(known.filter(({ state }) => state === 'failed').map((entry) => [entry.version, entry]))
  const forget = [...failed.values()].filter(
    ({ version, stamp }) => onDisk.find((entry) => entry.version === version)?.stamp !== stamp,
  )
  for (const { version } of forget) failed.delete(version)

  const good = onDisk.filter(({ version }) => !failed.has(version))
  const labelled = new Set(Object.values(labels))
  const wanted = mode === 'all' ? good : good.filter(({ version }, place) => place === 0 || labelled.has(version))
  const state = (version: string) => known.find((entry) => entry.version === version && !forget.includes(entry))?.state

  const load = wanted.filter(({ version }) => state(version) === undefined)
  const [highest] = wanted
  const successorReady = highest === undefined ? onDisk.length === 0 : state(highest.version) === 'ready'
  const unwanted = known.filter(
    (entry) => entry.state === 'ready' && !wanted.some(({ version }) => version === entry.version),
  )
  const isStale = ({ version, stamp }: SourceVersion) =>
    known.some((entry) => entry.version === version && entry.state === 'ready' && entry.bare && entry.stamp !== stamp)
  return {
    load,
    refresh: wanted.filter(isStale),
    unload: successorReady ? unwanted.map(({ version }) => version) : [],
    forget: forget.map(({ version }) => version),
  }
}

/** Ascending numeric order of versions: positive integers without leading zeros. */
export function compareVersions(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}
