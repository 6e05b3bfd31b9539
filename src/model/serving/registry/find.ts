import { ModelError } from '../../../base/errors.ts'
import { compareVersions, listNames, shortName, suggestNames } from '../../../base/names.ts'
import type { VersionState } from '../../../schemas/models.ts'
import type { Entry, KnownModel } from './entry.ts'
import { whyNotReady } from './status.ts'
import { stateOf } from './summary.ts'

/** The ready version that a request means. Throws MODEL_NOT_FOUND, VERSION_NOT_FOUND, or NOT_READY. */
export function findVersion(model: KnownModel, version: string | undefined, label: string | undefined): Entry {
  const { name, entries, unloaded, answering } = model
  if (entries.length === 0 || unloaded) throw notReady(model)
  const asked = label === undefined ? version : labelled(model, label)
  if (asked === undefined) {
    if (answering === undefined) throw notReady(model)
    return answering
  }
  const entry = entries.find((candidate) => candidate.version === asked)
  if (entry === undefined) throw new ModelError('VERSION_NOT_FOUND', notServed(model, asked, label))
  if (entry.state === 'ready') return entry
  const message = `Version ${asked} of ${name} ${describeState(entry)}`
  if (entry.state === 'loading') throw new ModelError('NOT_READY', message, soonReady)
  throw new ModelError('VERSION_NOT_FOUND', message)
}

function notServed({ name, entries }: KnownModel, version: string, label: string | undefined): string {
  const ready = entries.filter(({ state }) => state === 'ready').map((entry) => entry.version)
  const served = ready.length === 0 ? 'it serves none now' : `it serves ${listNames(ready.sort(compareVersions))}`
  return label === undefined
    ? `${name} does not serve version ${version}; ${served}`
    : `The label ${JSON.stringify(label)} of ${name} points to version ${version}, which is not served; ${served}`
}

function describeState({ state, error }: Entry): string {
  switch (state) {
    case 'failed':
      return `failed to load: ${error}`
    case 'draining':
      return 'is being unloaded'
    default:
      return `is ${state}`
  }
}

/** That no version of the model answers, and why. */
export function notReady(model: KnownModel): ModelError {
  const { name, source } = model
  if (source === undefined) return noModel(name, model.names())
  return new ModelError(
    'NOT_READY',
    `${name} can't answer: ${whyNotReady(model)}`,
    isBeingLoaded(model) ? soonReady : {},
  )
}

/** Whether it will answer without anybody's help, and not only from a scheduled time on. */
function isBeingLoaded(model: KnownModel): boolean {
  const { entries, scheduled } = model
  return stateOf(model) === 'loading' && (scheduled.size === 0 || entries.some(({ state }) => state === 'loading'))
}

/** That nobody knows yet which models there are. */
export function notScanned(): ModelError {
  return new ModelError('NOT_READY', 'The models folder has not been read yet', soonReady)
}

/** For a folder or version that is being read: the time that it takes is not known. */
const soonReady = { retryAfterSeconds: 1 }

/** That there is no model of this name, and which there are. */
export function noModel(name: string, names: readonly string[]): ModelError {
  const known = suggestNames(name, names, 'the folder has')
  return new ModelError('MODEL_NOT_FOUND', `There is no model called ${JSON.stringify(shortName(name))}${known}`)
}

function labelled({ name, source }: KnownModel, label: string): string {
  const labels = source?.labels ?? {}
  const version = Object.hasOwn(labels, label) ? labels[label] : undefined
  if (version === undefined)
    throw new ModelError('VERSION_NOT_FOUND', `${name} has no version labelled ${JSON.stringify(shortName(label))}`)
  return version
}

/** A version in the models' folder, or one that still answers though it is gone from there. */
export interface FolderVersion {
  name: string
  /** Undefined of a model that has none. */
  version: string | undefined
  /** `absent`: on disk alone. */
  state: VersionState | 'absent'
  /** Why it doesn't answer; empty where it does. */
  reason: string
}

/** All versions of a model, served or not; highest first. */
export function contentsOf({ name, source, entries, unloaded }: KnownModel): FolderVersion[] {
  const onDisk = source?.versions.map(({ version }) => version) ?? []
  const versions = [...new Set([...onDisk, ...entries.map(({ version }) => version)])]
  if (versions.length === 0)
    return [{ name, version: undefined, state: 'absent', reason: source?.problem ?? 'it has no version' }]
  return versions
    .sort((a, b) => compareVersions(b, a))
    .map((version) => {
      const entry = entries.find((known) => known.version === version)
      const reason = unloaded ? 'it was unloaded' : ''
      if (entry === undefined) return { name, version, state: 'absent', reason: reason || 'it is not loaded' }
      return { name, version, state: entry.state, reason: entry.error ?? reason }
    })
}
