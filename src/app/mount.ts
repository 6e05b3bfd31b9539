import type { FastifyInstance } from 'fastify'
import type { Configuration } from '../schemas/configuration.ts'
import { app } from '../server/app.ts'
import { requestIdOf, traceLogger } from '../server/plugins/request-id.ts'
import { createService } from './service.ts'

/**
 * Sets the HTTP interface up in a plugin's context of another application, which must have a prefix. The context keeps
 * all to itself, and closes with the application, after the accepted requests have been answered. Models are loaded
 * meanwhile.
 */
export async function setUpIn(
  fastify: FastifyInstance,
  configuration: Configuration,
  onLoaded: (reasons: string[]) => void,
): Promise<void> {
  if (fastify.prefix === '')
    throw new Error("multigate needs a prefix: fastify.register(multigate, { prefix: '/rank' })")
  const service = await createService(configuration, { log: fastify.log })
  fastify.addHook('preClose', async () => service.drain())
  fastify.addHook('onClose', async () => {
    await service.finish()
    await service.close()
  })
  fastify.setGenReqId(requestIdOf)
  fastify.setChildLoggerFactory(traceLogger)
  fastify.addHook('onRoute', (route) => {
    route.bodyLimit ??= configuration.MULTIGATE_MAX_BODY_BYTES
  })
  try {
    await app(fastify, service.app)
  } catch (error) {
    await service.close()
    throw error
  }
  service.load().then(() => onLoaded(service.unreadyReasons()))
}
