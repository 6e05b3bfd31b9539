import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Resolves once no other process on this machine has the lock of this name; others then wait for this one to end. The
 * lock is a socket, which the system closes with its process. Where there can be none, nobody waits. `onWait` is called
 * for each process that is waited for.
 */
export async function takeLock(name, onWait = () => {}) {
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 16)
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\multigate-${hash}` : join(tmpdir(), `multigate-${hash}`)
  const server = createServer((socket) => socket.unref()).unref()
  for (;;) {
    const failure = once(server, 'listening').then(
      () => undefined,
      ({ code }) => code,
    )
    server.listen(path)
    if ((await failure) !== 'EADDRINUSE') break
    if (!(await outlast(path, onWait))) rmSync(path, { force: true })
  }
  process.once('exit', () => {
    if (server.listening && process.platform !== 'win32') rmSync(path, { force: true })
  })
}

/** Waits for the process that listens there to end. Resolves to false at once if none does. */
function outlast(path, onWait) {
  return new Promise((resolve) => {
    let isThere = false
    const connection = createConnection(path, () => {
      isThere = true
      onWait()
    })
    connection
      .resume()
      .on('error', () => undefined)
      .once('close', () => resolve(isThere))
  })
}
