import fastifyCors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

/** Lets pages of these origins read responses. It is registered only where there are any. */
export const cors = fastifyPlugin(async (app: FastifyInstance, { origins }: { origins: readonly string[] }) => {
  await app.register(fastifyCors, {
    origin: [...origins],
    methods: ['GET', 'POST'],
    allowedHeaders: [
      'authorization',
      'content-type',
      'x-api-key',
      'x-deadline-ms',
      'x-multigate-log',
      'x-request-id',
      'traceparent',
      'tracestate',
    ],
    exposedHeaders: ['retry-after', 'x-request-id', 'traceresponse'],
    maxAge: 600,
  })
})
