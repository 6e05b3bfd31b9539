import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { ConnectionSource } from '../../server/overload/connections.ts'

/** Connections that another process has accepted and gives to this one. */
export interface GivenConnections extends ConnectionSource {
  /** Serves it. Undefined where it was closed on its way. */
  give(socket: Socket | undefined): void
  /** No more will come. */
  close(): void
}

/** `url`: where the other process listens. */
export function createGivenConnections(url: string): GivenConnections {
  const open = new Set<Socket>()
  let server: Server
  let close = () => {}
  const closed = new Promise<void>((resolve) => {
    close = resolve
  })
  let emptied: (() => void) | undefined
  const ended = () =>
    new Promise<void>((resolve) => {
      emptied = resolve
      if (open.size === 0) resolve()
    })

  return {
    async open(fastify) {
      await fastify.ready()
      server = fastify.server
      // From here on it watches over its connections: those whose requests take too long to arrive are ended.
      server.emit('listening')
      return url
    },
    give(socket) {
      if (socket === undefined) return
      if (open.size >= server.maxConnections) {
        socket.destroy()
        // Counted, as those that an HTTP server closes on arrival.
        server.emit('drop')
        return
      }
      open.add(socket)
      socket.once('close', () => {
        open.delete(socket)
        if (open.size === 0) emptied?.()
      })
      // As an HTTP server does with what it accepts.
      socket.setNoDelay(true)
      socket.allowHalfOpen = true
      server.emit('connection', socket)
    },
    close,
    async stop(longest) {
      await closed
      await Promise.race([ended(), setTimeout(longest, undefined, { ref: false })])
    },
    ended,
  }
}
