import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import { Server } from 'node:net'
import { setTimeout, setImmediate as turn } from 'node:timers/promises'

/** Most turns of the event loop that are waited for quiet ones; each accepts one connection. */
const mostTurns = 1000

/** A turn is quiet if nobody connected in it and it was over within this time, ms: then hardly anyone can be waiting. */
const quietTurn = 0.5

/**
 * Takes no new connections, and resolves once all that are open have ended, or when the time (ms) is over.
 *
 * An HTTP server's own `close` ends idle connections immediately, one with its first request on the way among them: here
 * they stay for as long as clients need to find out.
 */
export async function stopListening(server: HttpServer, longest: number): Promise<void> {
  await acceptWaiting(server)
  const ended = once(server, 'close')
  Server.prototype.close.call(server)
  await Promise.race([ended, setTimeout(longest, undefined, { ref: false })])
}

/** Resolves when what waited to be accepted has been: the kernel resets it when the listener goes. */
export async function acceptWaiting(server: Server): Promise<void> {
  let accepted = false
  const onConnection = () => {
    accepted = true
  }
  server.on('connection', onConnection)
  // Two quiet ones: the first may be the rest of a turn, in which nobody is accepted.
  for (let turns = 0, quiet = 0; turns < mostTurns && quiet < 2; turns++) {
    accepted = false
    const started = performance.now()
    await turn()
    quiet = !accepted && performance.now() - started < quietTurn ? quiet + 1 : 0
  }
  server.off('connection', onConnection)
}
