import { InvalidArgumentError } from 'commander'
import type { Terminal } from './terminal.ts'

/** A standard stream, or a stand-in. */
export interface Output extends NodeJS.WritableStream {
  isTTY?: boolean
  columns?: number
  rows?: number
}

/** Everything that a command gets from the process, and its exit code. */
export interface CommandContext {
  /** The command line, from the command's name on. */
  args: readonly string[]
  /** Stops the command. */
  signal: AbortSignal
  out: Output
  err: Output
  /** Exit code of a command that ends without an error; one that reports failed checks sets another than 0. */
  exitCode: number
}

/** The part of the context that what a command runs needs. */
export interface RunContext {
  /** Stops it. */
  signal: AbortSignal
  out: Terminal
  err: Terminal
}

/** A parser of the numbers from `least` to `most`, for options of commands. */
export function numberFrom(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (!(value >= least && value <= most)) throw new InvalidArgumentError(`must be a number from ${least} to ${most}.`)
    return value
  }
}

/** The same of whole numbers, written as digits. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,16}$/.test(text) || Number(text) < least || Number(text) > most)
      throw new InvalidArgumentError(`must be a whole number from ${least} to ${most}.`)
    return Number(text)
  }
}
