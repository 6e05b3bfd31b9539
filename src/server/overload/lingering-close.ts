import type { IncomingMessage } from 'node:http'
import type { Server, Socket } from 'node:net'
import { type Clock, systemClock } from '../../base/clock.ts'

/** Longest time that a client is read on after its answer, and longest pause of its bytes, ms: nginx's defaults. */
const longestLinger = 30_000
const longestPause = 5_000

/** Bytes that are read and thrown away per connection: more than a body that is a few times too large. */
const mostBytes = 64 * 2 ** 20

/** Connections of one server that linger together: hostile clients gain no more than these. */
const mostLingering = 128

/** Closes a connection after what was written has left, and lets its client read that. */
export type LingeringClose = (socket: Socket) => void

/**
 * The system resets a connection that is closed with unread bytes, and the client may never see its answer. A lingering
 * close ends the sending half alone, and throws away what comes until the client has closed, within bounds of time,
 * bytes and connections; beyond them the connection is destroyed.
 */
export function createLingeringClose(
  most = mostLingering,
  { after }: Pick<Clock, 'after'> = systemClock,
): LingeringClose {
  const lingering = new Set<Socket>()
  return (socket) => {
    if (socket.destroyed || lingering.has(socket)) return
    if (lingering.size >= most) {
      socket.destroy()
      return
    }
    lingering.add(socket)
    let bytes = 0
    let seen = 0
    let waited = 0
    const tick = () => {
      waited += longestPause
      if (waited > longestLinger || bytes === seen) {
        socket.destroy()
        return
      }
      seen = bytes
      cancel = after(longestPause, tick)
    }
    let cancel = after(longestPause, tick)
    // Not the parser: it would hand over each piece, or refuse it.
    socket.removeAllListeners('data').on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes > mostBytes) socket.destroy()
    })
    socket.once('end', () => socket.destroy())
    socket.once('close', () => {
      cancel()
      lingering.delete(socket)
    })
    socket.end()
    // Node's parser had read past the stream, which takes itself to be reading still: it starts to read with this.
    socket.push('')
    socket.resume()
  }
}

/** The way in which the connections of a server close, for what has no request. */
const closes = new WeakMap<Socket, LingeringClose>()

/**
 * Closes a connection of a server that lingers; immediately where its TLS handshake has failed, or of another server.
 */
export function lingeringClose(socket: Socket): void {
  const close = closes.get(socket)
  if (close === undefined) socket.destroy()
  else close(socket)
}

/**
 * Has the connections of an HTTP or HTTPS server linger where Node closes them before the last request has come whole.
 */
export function lingerOn(server: Server): void {
  const close = createLingeringClose()
  server.on('setSecureContext' in server ? 'secureConnection' : 'connection', (socket: Socket) => {
    closes.set(socket, close)
    const destroySoon = socket.destroySoon.bind(socket)
    // Node calls it after an answer that closes the connection.
    socket.destroySoon = () => {
      const { parser } = socket as { parser?: { incoming?: IncomingMessage | null } | null }
      if (parser?.incoming?.complete === false) close(socket)
      else destroySoon()
    }
  })
}
