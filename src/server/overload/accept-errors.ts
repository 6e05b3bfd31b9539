import type { Server } from 'node:net'

/** Shortest time between two log lines, ms: until descriptors are free, every turn of the event loop tries again. */
const quiet = 60_000

/** Goes on where a connection can't be accepted, as where no file descriptor is left: else the process would end. */
export function surviveAcceptErrors(
  server: Server,
  log: { error(details: object, message: string): void },
  now: () => number,
): void {
  let last = Number.NEGATIVE_INFINITY
  server.on('error', (error: NodeJS.ErrnoException) => {
    // The caller of listen reports why it can't listen.
    if (error.syscall !== 'accept' || now() - last < quiet) return
    last = now()
    const hint = error.code === 'EMFILE' || error.code === 'ENFILE' ? `: too few file descriptors. ${moreFiles}` : ''
    log.error({ err: error }, `a connection can't be accepted${hint}`)
  })
}
/** What helps where a process has as many files and connections open as it may. */
export const moreFiles =
  'Raise the limit: ulimit -n 4096 at least, plus one for each connection; in systemd LimitNOFILE=, with containers --ulimit nofile='
