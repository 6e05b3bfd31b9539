import { realpathSync } from 'node:fs'
import { reasonOf } from '../base/errors.ts'
import type { DeltaEvent } from '../model/serving/delta-files/delta-follower.ts'
import { listProblems } from '../model/serving/prediction/compare-contracts.ts'
import type { RegistryEvent } from '../model/serving/registry/registry.ts'
import type { TableChange } from '../model/serving/tables/tables.ts'
import type { Metrics } from '../server/metrics/metrics.ts'
import type { Log } from './load-options.ts'

/** Logs what became of a version; its metrics begin when it is loaded, and end when it is unloaded. */
export function reportEvent(event: RegistryEvent, log: Log, metrics: Pick<Metrics, 'begin' | 'forget'>): void {
  switch (event.type) {
    case 'loaded': {
      const { name, version, model, seconds } = event
      const { precision, products } = model.plan
      const plan = { engine: model.engine, precision, ...(products && { products }) }
      const details = { ...plan, seconds: Number(seconds.toFixed(3)), ...authorOf(event) }
      log.info({ model: name, version, ...details }, 'model loaded')
      metrics.begin(model)
      return
    }
    case 'failed':
      log.error({ model: event.name, version: event.version, reason: reasonOf(event.error) }, 'model failed to load')
      return
    case 'incompatible': {
      const { name, version } = event
      const { with: previous, problems, skipped } = event.incompatibility
      const details = { model: name, version, previous, problems: listProblems(problems), ...(skipped && { skipped }) }
      log.warn(details, 'another version answers that is incompatible')
      return
    }
    case 'unloaded':
      log.info({ model: event.name, version: event.version, ...authorOf(event) }, 'model unloaded')
      metrics.forget(event.name, event.version)
      return
    case 'switched':
      log.info(
        { model: event.name, version: event.version, previous: event.from, ...authorOf(event) },
        'another version answers',
      )
      return
    case 'pin': {
      const { name, version, from, by } = event
      const details = { model: name, ...(version && { version }), ...(from && { previous: from }), by }
      log.info(details, version === undefined ? 'version unpinned' : 'version pinned')
      return
    }
    case 'problem':
      log.warn(event.message)
  }
}

const authorOf = ({ by }: { by?: string }) => (by === undefined ? {} : { by })

/** Logs what became of a feature table. */
export function reportTable(change: TableChange, log: Log): void {
  const { table, version, type } = change
  if (type === 'opened')
    log.info(
      { table, version },
      change.replaced ? 'other content of a feature table is read' : 'a feature table is read',
    )
  else if (type === 'unprotected')
    log.warn(
      { table, version, reason: change.problem },
      'a feature table is mapped where it is: a program that writes into its files would end the server',
    )
  else if (type === 'deltas') reportDelta(change.event, { table, version }, log)
  else {
    const reason = change.problem
    log.error({ table, version, reason }, "a feature table can't be read; its former version stays")
  }
}

/** Logs what became of the deltas of a version, of a model or of a feature table. */
export function reportDelta(event: DeltaEvent, version: Record<string, string>, log: Log): void {
  if (event.type === 'refused') {
    const { file, reason } = event
    log.error({ ...version, file, reason }, 'a delta is refused')
    return
  }
  const { type, from, to, rows, seconds } = event
  const message = type === 'applied' ? 'deltas applied' : 'deltas reverted'
  log.info({ ...version, from, to, rows, seconds: Number(seconds.toFixed(3)) }, message)
}

export interface HiddenFolders {
  /** Paths in it become relative to it. */
  models: string
  /** Paths in these are shortened to the part below them, after an ellipsis. */
  other: readonly (string | undefined)[]
}

/**
 * Takes the places of this machine out of a text that clients may read. Only paths below the folders given are found:
 * other texts with slashes, as JSON pointers, look just like paths.
 */
export function createPathHider({ models, other }: HiddenFolders): (text: string) => string {
  const places = [
    ...spellings(models).map((folder) => ({ folder, below: '', itself: 'the models folder' })),
    ...[process.cwd(), ...other].flatMap((folder) =>
      folder === undefined ? [] : spellings(folder).map((folder) => ({ folder, below: '…/', itself: '…' })),
    ),
    // The longest first: one folder may be in another.
  ].sort((a, b) => b.folder.length - a.folder.length)
  const patterns = places.map(({ folder, ...rest }) => ({ pattern: patternOf(folder), ...rest }))
  return (text) =>
    patterns.reduce(
      (shorter, { pattern, below, itself }) => shorter.replace(pattern, (_, slash) => (slash ? below : itself)),
      text,
    )
}

/** A whole path, or the beginning of one; not the middle of another. */
function patternOf(folder: string): RegExp {
  return new RegExp(`(?<![\\w.~-])${folder.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?:(\\/)|(?![\\w.-]))`, 'g')
}

/** As given, and without links. The root of all is none: it is in every path. */
function spellings(folder: string): string[] {
  const spelt = new Set([folder])
  try {
    spelt.add(realpathSync(folder))
  } catch {
    // A path that doesn't exist has no other spelling.
  }
  return [...spelt].map((path) => path.replace(/\/+$/, '')).filter((path) => path !== '')
}
