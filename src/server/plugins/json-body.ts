import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import secureJson from 'secure-json-parse'
import { reasonOf } from '../../model/errors.ts'
import { invalidRequest } from '../../model/features/problems.ts'

/** Parses JSON bodies, and says where one is broken. Keys that would reach into an object's prototype are refused. */
export const jsonBody = fastifyPlugin(async (app: FastifyInstance) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_: unknown, body: string | Buffer) => {
    if (body.length === 0) throw invalidRequest([{ path: '', message: 'must be JSON; it is empty' }])
    // Else bytes that are no text would become U+FFFD, in features and ids alike.
    if (Buffer.isBuffer(body) && !isUtf8(body)) throw invalidRequest([{ path: '', message: 'must be UTF-8' }])
    try {
      return secureJson.parse(body, undefined, { protoAction: 'error', constructorAction: 'ignore' })
    } catch (error) {
      throw invalidRequest([{ path: '', message: `must be JSON: ${reasonOf(error)}` }])
    }
  })
})
