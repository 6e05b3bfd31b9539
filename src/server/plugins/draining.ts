import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
/** While draining, every answer asks its client to close the connection: so none is idle, or reset, at the end. */
export const draining = fastifyPlugin(async (app: FastifyInstance, { drain }: { drain: Drain }) => {
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (drain.draining) reply.header('connection', 'close')
    done()
  })
})
/** Set at SIGTERM: from then on the server is not ready, and asks clients to close their connections. */
export interface Drain {
  draining: boolean
}
