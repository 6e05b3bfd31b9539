import type { FastifyInstance } from 'fastify'
import { stopListening } from './stop-listening.ts'

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
