import { isMainThread } from 'node:worker_threads'

/*
 * Loaded into a process before its own code (node --import): once the process has written a line to stderr that begins
 * with LINE, it gets SIGNAL, however fast it goes on.
 */
if (isMainThread) {
  const { LINE, SIGNAL } = process.env
  const write = process.stderr.write.bind(process.stderr)
  process.stderr.write = ((...args: Parameters<typeof write>) => {
    const isWritten = write(...args)
    if (String(args[0]).startsWith(LINE!)) process.kill(process.pid, SIGNAL)
    return isWritten
  }) as typeof write
}
