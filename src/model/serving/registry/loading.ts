import { ModelError } from '../../../base/errors.ts'
import type { LoadedModel } from '../prediction/loaded-model.ts'
import type { Incompatibility } from './compatibility.ts'
import { type Entry, newEntry, nextRetry, type Retry } from './entry.ts'
import type { RegistryEvent } from './lease.ts'
import type { SourceVersion } from './source.ts'

/** Where a version is loaded. */
export interface LoadingPlace {
  /** Lets another version be loaded beside what is left to do for this one; it need not be called. */
  free(): void
  /** The version that answers for the model now. */
  former: LoadedModel | undefined
  /** The model that serves this version, where its files may still have the same content. */
  loaded?: LoadedModel | undefined
}

export interface LoadingOptions {
  /** May answer with `place.loaded`, where its files have the same content. */
  load(name: string, version: string, place: LoadingPlace): Promise<LoadedModel>
  now(): number
  /** The part of an error that clients may be given as the reason for a failure. */
  describe(error: unknown): string
  onEvent?: ((event: RegistryEvent) => void) | undefined
}

/**
 * Loads a version; its entry is `ready` then, or `failed` with the reason. `stopped`: the try that an I/O error
 * stopped. Never rejects.
 */
export async function loadVersion(
  name: string,
  entries: Map<string, Entry>,
  next: SourceVersion,
  options: LoadingOptions,
  place: LoadingPlace,
  stopped?: Retry,
): Promise<void> {
  const { version, stamp } = next
  const entry = newEntry(version, stamp)
  entries.set(version, entry)
  const started = options.now()
  try {
    entry.model = await load(name, next, options, place)
    entry.state = 'ready'
    const seconds = (options.now() - started) / 1000
    options.onEvent?.({ type: 'loaded', name, version, model: entry.model, seconds })
  } catch (error) {
    entry.state = 'failed'
    entry.error = options.describe(error)
    entry.failure = codeOf(error)
    entry.retry = nextRetry(error, stopped, options.now())
    options.onEvent?.({ type: 'failed', name, version, error })
  }
}

/**
 * Replaces a version by its files on disk; returns the former entry, to be closed. Where that fails, the former version
 * goes on serving; these files are tried again only after an I/O error. `incompatibilityOf`: what the new entry breaks,
 * once its model is loaded. Never rejects.
 */
export async function refreshVersion(
  name: string,
  entries: Map<string, Entry>,
  next: SourceVersion,
  options: LoadingOptions,
  place: LoadingPlace,
  incompatibilityOf: () => Incompatibility | undefined,
): Promise<Entry | undefined> {
  const { version, stamp } = next
  const former = entries.get(version)!
  const started = options.now()
  try {
    const model = await load(name, next, options, { ...place, loaded: former.outdated ? undefined : former.model })
    if (model === former.model) {
      Object.assign(former, { stamp, retry: undefined, error: undefined, failure: undefined })
      return undefined
    }
    entries.set(version, {
      ...former,
      stamp,
      model,
      outdated: false,
      error: undefined,
      failure: undefined,
      retry: undefined,
      incompatibility: incompatibilityOf(),
      leases: 0,
      onReleased: undefined,
    })
    options.onEvent?.({ type: 'loaded', name, version, model, seconds: (options.now() - started) / 1000 })
    return former
  } catch (error) {
    former.retry = nextRetry(error, former.retry, options.now())
    if (former.retry === undefined) Object.assign(former, { stamp, outdated: false })
    former.error = `its files have changed, and the former ones are served: ${options.describe(error)}`
    former.failure = codeOf(error)
    options.onEvent?.({ type: 'failed', name, version, error })
    return undefined
  }
}

const codeOf = (error: unknown) => (error instanceof ModelError ? error.code : undefined)

async function load(name: string, { version, problem }: SourceVersion, options: LoadingOptions, place: LoadingPlace) {
  if (problem !== undefined) throw new ModelError('INVALID_BUNDLE', problem)
  return options.load(name, version, place)
}
