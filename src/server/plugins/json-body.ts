import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { readJson } from '../json/read-body.ts'

/** Parses JSON bodies, and says where one is broken. */
export const jsonBody = fastifyPlugin(async (app: FastifyInstance) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_: unknown, body: Buffer) =>
    readJson(body),
  )
})
