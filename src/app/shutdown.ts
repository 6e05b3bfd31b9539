import type { Options } from 'close-with-grace'
import { longestStop } from '../config/configuration.ts'
import type { Configuration } from '../schemas/configuration.ts'

/**
 * Signals of a thread that has broken. One that is caught in JavaScript returns to the very instruction that broke, for ever:
 * left alone, they end the process immediately, and its supervisor starts another.
 */
const faults = ['SIGSEGV', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGTRAP', 'SIGABRT'] as const

/** How a process stops on a signal or an uncaught exception; options of close-with-grace. */
export function graceOf(configuration: Configuration) {
  return { delay: longestStop(configuration), skip: [...faults] } satisfies Options
}
