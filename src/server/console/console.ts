import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../request/context.ts'
import type { LiveSource } from '../request/live-source.ts'
import { consoleFiles } from './files.ts'
import { liveRoute } from './live-route.ts'

/** The console at `/`, and the stream that it shows. */
export async function consoleRoutes(
  app: FastifyInstance,
  options: { context: ServerContext; source: LiveSource },
): Promise<void> {
  await app.register(consoleFiles)
  await app.register(liveRoute, options)
}
