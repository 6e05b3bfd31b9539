import { isTransient, ModelError } from '../base/errors.ts'

/** When a version that an I/O error or a lost thread stopped is loaded again. */
export interface Retry {
  /** Failures in a row. */
  failures: number
  /** In the registry's time, ms. */
  at: number
}

/** Delay after the first failure, ms; doubled for each further one. */
const firstDelay = 1000
/** A missing file may never appear; trying once per minute costs little. */
const longestDelay = 60_000

/** The next try after `error`; undefined where trying again would not help. `former`: the try that failed. */
export function nextRetry(error: unknown, former: Retry | undefined, now: number): Retry | undefined {
  if (!isTransient(error)) return undefined
  const failures = (former?.failures ?? 0) + 1
  if (error instanceof ModelError && failures > error.mostRetries) return undefined
  return { failures, at: now + Math.min(longestDelay, firstDelay * 2 ** (failures - 1)) }
}

export function retryState(retry: Retry | undefined, now: number): 'waiting' | 'due' | undefined {
  if (retry === undefined) return undefined
  return now < retry.at ? 'waiting' : 'due'
}
