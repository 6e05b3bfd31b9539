import { setTimeout as wait } from 'node:timers/promises'
import type { Synchroniser, SyncPass } from './synchroniser.ts'

export interface KeepOptions {
  /** Time between two passes, on average, ms: each is up to a fifth shorter or longer, so that a fleet doesn't ask at the same moment. */
  interval: number
  signal: AbortSignal
  onPass(pass: SyncPass): void
  /** The index could not be read, or is wrong. */
  onFailure(error: unknown): void
  random?: () => number
}

/** Runs pass after pass until the signal is aborted. */
export async function keepSynchronised(synchroniser: Synchroniser, options: KeepOptions): Promise<void> {
  const { interval, signal, onPass, onFailure, random = Math.random } = options
  try {
    while (!signal.aborted) {
      try {
        onPass(await synchroniser.run(signal))
      } catch (error) {
        if (!signal.aborted) onFailure(error)
      }
      await wait(interval * (0.8 + 0.4 * random()), undefined, { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
