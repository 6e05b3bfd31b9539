import { reasonOf } from '../../../base/errors.ts'
import type { LoadedModel } from '../prediction/loaded-model.ts'
import type { Incompatibility } from './compatibility.ts'
import type { Entry } from './entry.ts'
import type { PinChange } from './source.ts'

/** One version, held for one request: it is not closed before it is released. */
export interface Lease {
  model: LoadedModel
  /** Whether it is the version that is pinned. */
  isPinned: boolean
  /** Idempotent. */
  release(): void
}

export function leaseOf(entry: Entry): Lease {
  const { model, isPinned } = entry
  if (model === undefined) throw new Error('a ready version has a model')
  entry.leases++
  let held = true
  return {
    model,
    isPinned,
    release: () => {
      if (!held) return
      held = false
      if (--entry.leases === 0) entry.onReleased?.()
    },
  }
}

/** Receives `unloaded`. */
type Listener = ((event: RegistryEvent) => void) | undefined

/** Closes a version once nobody holds it; it takes nothing new from now on. Idempotent. */
export function drain(name: string, entry: Entry, onEvent: Listener): Promise<void> {
  entry.drained ??= closeAndTell(name, entry, onEvent)
  return entry.drained
}

async function closeAndTell(name: string, entry: Entry, onEvent: Listener): Promise<void> {
  if (entry.model === undefined) return
  await closeReleased(name, entry, onEvent)
  onEvent?.({ type: 'unloaded', name, version: entry.version })
}

/** The same of a model in whose place another one answers already: its version goes on. */
export async function closeReleased(name: string, entry: Entry, onEvent: Listener): Promise<void> {
  const { model } = entry
  if (model === undefined) return
  entry.state = 'draining'
  if (entry.leases > 0) await new Promise<void>((resolve) => (entry.onReleased = resolve))
  try {
    await model.close()
  } catch (error) {
    onEvent?.({ type: 'problem', message: `${name}/${entry.version} could not be closed: ${reasonOf(error)}` })
  }
  entry.model = undefined
}

/** Reported by the registry. `by`: who caused it, where somebody did; see `authors.ts`. */
export type RegistryEvent =
  | { type: 'loaded'; name: string; version: string; model: LoadedModel; seconds: number; by?: string }
  | { type: 'failed'; name: string; version: string; error: unknown }
  | { type: 'unloaded'; name: string; version: string; by?: string }
  | { type: 'problem'; message: string }
  /** Another version answers requests that name none; `scheduled`: its time came. */
  | { type: 'switched'; name: string; version: string; from: string; scheduled: boolean; by?: string }
  /** Another version is pinned, or none any more. */
  | ({ type: 'pin' } & PinChange)
  /** The version that answers from now on refuses requests that the one before it answered. */
  | { type: 'incompatible'; name: string; version: string; incompatibility: Incompatibility }
  /** Requests can be answered, for the first time. */
  | { type: 'ready' }
