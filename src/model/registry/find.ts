import { ModelError } from '../base/errors.ts'
import { suggestNames } from '../base/known-names.ts'
import { type Entry, type KnownModel, whyNotReady } from './entry.ts'

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
  if (entry === undefined) throw new ModelError('VERSION_NOT_FOUND', `${name} has no version ${asked} that is served`)
  if (entry.state === 'ready') return entry
  const reason = entry.error === undefined ? '' : `: ${entry.error}`
  throw new ModelError(
    entry.state === 'loading' ? 'NOT_READY' : 'VERSION_NOT_FOUND',
    `Version ${asked} of ${name} is ${entry.state}${reason}`,
  )
}

/** That no version of it answers, and why. */
export function notReady(model: KnownModel): ModelError {
  const { name, source } = model
  if (source === undefined) return noModel(name, model.names())
  return new ModelError('NOT_READY', `${name} can't answer: ${whyNotReady(model)}`)
}

/** That there is no model of this name, and which there are. */
export function noModel(name: string, names: readonly string[]): ModelError {
  const known = suggestNames(name, names, 'the folder has')
  return new ModelError('MODEL_NOT_FOUND', `There is no model called ${JSON.stringify(name)}${known}`)
}

function labelled({ name, source }: KnownModel, label: string): string {
  const labels = source?.labels ?? {}
  const version = Object.hasOwn(labels, label) ? labels[label] : undefined
  if (version === undefined)
    throw new ModelError('VERSION_NOT_FOUND', `${name} has no version labelled ${JSON.stringify(label)}`)
  return version
}
