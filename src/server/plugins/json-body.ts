import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import secureJson from 'secure-json-parse'
import { reasonOf } from '../../model/errors.ts'
import { invalidRequest } from '../../model/features/problems.ts'

/** Parses JSON bodies, and says where one is broken. Keys that would reach into an object's prototype are refused. */
export const jsonBody = fastifyPlugin(async (app: FastifyInstance) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, async (_: unknown, text: string | Buffer) => {
    if (text.length === 0) throw invalidRequest([{ path: '', message: 'must be JSON; it is empty' }])
    try {
      return secureJson.parse(text, undefined, { protoAction: 'error', constructorAction: 'ignore' })
    } catch (error) {
      throw invalidRequest([{ path: '', message: `must be JSON: ${reasonOf(error)}` }])
    }
  })
})
