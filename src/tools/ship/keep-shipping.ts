import { setTimeout as wait } from 'node:timers/promises'
import type { ShipPass, Shipper } from './shipper.ts'

/** Longest that the last pass may take, with one that is under way, ms: less than the 30 s that Kubernetes waits. */
const longestEnd = 25_000

export interface KeepOptions {
  /** Time between two passes, on average, ms: each is up to a fifth shorter or longer, so that a fleet spreads. */
  interval: number
  /** Ends it immediately. */
  interrupted: AbortSignal
  /** Ends it after one more pass: a server that has just stopped has finished its files. */
  terminated: AbortSignal
  onPass(pass: ShipPass): void
  /** The folder could not be read, or the last pass took too long. */
  onFailure(error: unknown): void
  random?: () => number
}

/** Runs pass after pass until a signal is aborted. */
export async function keepShipping(shipper: Pick<Shipper, 'run'>, options: KeepOptions): Promise<void> {
  const { interval, interrupted, terminated, onPass, onFailure, random = Math.random } = options
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const onTerminated = () => {
    timer = setTimeout(() => late.abort(new Error(`not done ${longestEnd / 1000} s after SIGTERM`)), longestEnd)
  }
  if (terminated.aborted) onTerminated()
  else terminated.addEventListener('abort', onTerminated, { once: true })
  const signal = AbortSignal.any([interrupted, late.signal])
  const awake = AbortSignal.any([interrupted, terminated])
  try {
    for (let isLast = false; !isLast && !signal.aborted; ) {
      isLast = terminated.aborted
      try {
        onPass(await shipper.run(signal))
      } catch (error) {
        if (!interrupted.aborted) onFailure(error)
      }
      if (!isLast)
        await wait(interval * (0.8 + 0.4 * random()), undefined, { signal: awake }).catch((error) => {
          if (!awake.aborted) throw error
        })
    }
  } finally {
    clearTimeout(timer)
    terminated.removeEventListener('abort', onTerminated)
  }
}
