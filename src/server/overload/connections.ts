import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import { Server, type Socket } from 'node:net'
import { setTimeout, setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

/** Where a server's connections come from. */
export interface ConnectionSource {
  /** Begins to take connections; answers the service's address, e.g. `http://127.0.0.1:3000`. */
  open(fastify: FastifyInstance): Promise<string>
  /** Takes no new connections, and resolves once all that are open have ended, or when the time (ms) is over. */
  stop(longest: number): Promise<void>
  /** Once it has been stopped: resolves when all that are open have ended. */
  ended(): Promise<void>
}

/** A port of the server's own; `what` begins its log line. `open` throws where it can't be listened on. */
export function listenOn(host: string, port: number, what = 'listening at'): ConnectionSource {
  let fastify: FastifyInstance
  return {
    open(instance) {
      fastify = instance
      return fastify.listen({ host, port, listenTextResolver: (address) => `${what} ${address}` })
    },
    stop: (longest) => stopListening(fastify.server, longest),
    async ended() {
      await fastify.close()
    },
  }
}

/**
 * A turn of the event loop is quiet if nobody connected in it and it was over within this time, ms: then hardly anyone
 * waits.
 */
const quietTurn = 0.1

/** Most connections that wait to be accepted: as many as Node asks the system for, and one. */
const longestBacklog = 512

/**
 * Longest time that those who connect even later are accepted, ms: until nobody waits, so that none of them is reset
 * either.
 */
const patience = 1000

/**
 * Takes no new connections, and resolves once all that are open have ended, or when the time (ms) is over.
 *
 * An HTTP server's own `close` ends idle connections immediately, one with its first request on the way among them:
 * here they stay for as long as clients need to find out.
 */
export async function stopListening(server: HttpServer, longest: number): Promise<void> {
  const ended = once(server, 'close')
  await closeListener(server)
  await Promise.race([ended, setTimeout(longest, undefined, { ref: false })])
}

/**
 * Closes a listener. The system resets what then waits to be accepted: so all of it is accepted before, each turn of
 * the event loop one connection. Requests of these connections are read once the listener is closed: to answer them
 * earlier would make the turns longer, and clients with a connection for each request would come back meanwhile.
 */
export async function closeListener(server: Server, now = () => performance.now()): Promise<void> {
  const listeners = server.rawListeners('connection') as ((socket: Socket) => void)[]
  const held: Socket[] = []
  let accepted = 0
  const onDrop = () => accepted++
  const onConnection = (socket: Socket) => {
    accepted++
    held.push(socket.on('error', ignore))
  }
  server.removeAllListeners('connection')
  server.on('connection', onConnection).on('drop', onDrop)
  const started = now()
  let emptied = false
  // Two quiet turns: the first may be the rest of one, in which nobody is accepted.
  for (let turns = 1, quiet = 0; quiet < 2; turns++) {
    const before = accepted
    const turned = now()
    await turn()
    const isEmpty = accepted === before
    quiet = isEmpty && now() - turned < quietTurn ? quiet + 1 : 0
    emptied ||= (isEmpty && turns > 1) || accepted >= longestBacklog
    // All that waited at the start have been accepted; others have had their time.
    if (emptied && now() - started > patience) break
  }
  Server.prototype.close.call(server)
  server.off('connection', onConnection).off('drop', onDrop)
  for (const listener of listeners) server.on('connection', listener)
  for (const socket of held) {
    if (socket.destroyed) continue
    server.emit('connection', socket)
    socket.off('error', ignore)
  }
}

function ignore(): void {}

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
/** Advice for where a process has as many files and connections open as it may. */
export const moreFiles =
  'Raise the limit: ulimit -n 4096 at least, plus one for each connection; in systemd LimitNOFILE=, with containers --ulimit nofile='
