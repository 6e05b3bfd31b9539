import type { LoadedModel } from '../prediction/contract.ts'
import type { Entry } from './entry.ts'

/** One version, held for one request: it is not closed before it is released. */
export interface Lease {
  model: LoadedModel
  /** Idempotent. */
  release(): void
}

export function leaseOf(entry: Entry): Lease {
  const { model } = entry
  if (model === undefined) throw new Error('a ready version has a model')
  entry.leases++
  let held = true
  return {
    model,
    release: () => {
      if (!held) return
      held = false
      if (--entry.leases === 0) entry.onReleased?.()
    },
  }
}
