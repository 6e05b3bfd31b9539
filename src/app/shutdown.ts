import { setTimeout } from 'node:timers/promises'
import type { Options } from 'close-with-grace'
import { longestStop } from '../base/configuration.ts'
import type { Configuration } from '../schemas/configuration.ts'

/**
 * Signals of a thread that has broken. One that is caught in JavaScript returns to the very instruction that broke, for
 * ever: left alone, they end the process immediately, and its supervisor starts another.
 */
const faults = ['SIGSEGV', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGTRAP', 'SIGABRT'] as const

/** How a process stops on a signal or an uncaught exception; options of close-with-grace. */
export function graceOf(configuration: Configuration) {
  return { delay: longestStop(configuration), skip: [...faults] } satisfies Options
}

/** Half of a long round trip, ms: so much earlier than the server a client takes itself for connected. */
const longestHandshake = 100

/**
 * Resolves when the listener may close: clients that have connected during the drain delay wait to be accepted by then.
 */
export async function drained({ MULTIGATE_DRAIN_DELAY_MS: delay }: Configuration): Promise<void> {
  // Without a delay nobody is promised anything.
  await setTimeout(delay === 0 ? 0 : delay + longestHandshake)
}
