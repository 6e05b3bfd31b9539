/** A standard stream, or a stand-in. */
export interface Output extends NodeJS.WritableStream {
  isTTY?: boolean
  columns?: number
  rows?: number
}

/** What a command gets from the process, and its exit code. */
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
