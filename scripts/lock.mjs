import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

/**
 * Resolves once no other process on this machine has the lock of this name; others then wait for this one to end. The
 * lock is a socket, which the system closes with its process. Where there can be none, nobody waits. `onWait` is called
 * for each process that is waited for.
 */
export async function takeLock(name, onWait = () => {}) {
  const path = address(createHash('sha256').update(name).digest('hex').slice(0, 16))
  const server = createServer((socket) => socket.unref()).unref()
  // A process binds its socket a moment before it listens, and connections in between are refused as those to a file
  // whose process has gone.
  for (let refusals = 0; ; ) {
    const failure = once(server, 'listening').then(
      () => undefined,
      ({ code }) => code,
    )
    server.listen(path)
    if ((await failure) !== 'EADDRINUSE') break
    if (await outlast(path, onWait)) refusals = 0
    else if (isFile && ++refusals > 50) rmSync(path, { force: true })
    else await setTimeout(20)
  }
  process.once('exit', () => {
    if (server.listening && isFile) rmSync(path, { force: true })
  })
}

/** Windows and Linux have names of sockets that vanish with their process; elsewhere it leaves a file. */
const isFile = !['win32', 'linux'].includes(process.platform)

function address(hash) {
  if (isFile) return join(tmpdir(), `multigate-${hash}`)
  return process.platform === 'win32' ? `\\\\.\\pipe\\multigate-${hash}` : `\0multigate-${hash}`
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
