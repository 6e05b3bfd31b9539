import { reasonOf } from '../base/errors.ts'
import type { Entry } from './entry.ts'
import type { RegistryEvent } from './event.ts'

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
