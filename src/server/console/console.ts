import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { projectRoot } from '../../base/project.ts'
import { keepFiles } from '../overload/kept-files.ts'
import { pageHeaders } from '../plugins/page-headers.ts'
import type { LiveSource, ServerContext } from '../request/context.ts'
import { liveRoute } from './live-route.ts'

/** The console at `/`, and the stream that it shows. */
export async function consoleRoutes(
  app: FastifyInstance,
  options: { context: ServerContext; source: LiveSource },
): Promise<void> {
  await app.register(consoleFiles)
  await app.register(liveRoute, options)
}

/** Where the build puts the console's files. */
const root = join(projectRoot, 'dist/console')

const headers = {
  ...pageHeaders("'self'", "'self'", "require-trusted-types-for 'script'"),
  'cross-origin-opener-policy': 'same-origin',
}

/**
 * `GET /` and its scripts and styles below `/console/`: files of the package, compressed when it was built. All paths
 * in the page are relative to its own, which ends with a slash, so that it works below any prefix, also below one that
 * a proxy strips.
 */
export async function consoleFiles(app: FastifyInstance): Promise<void> {
  const page = await readFile(join(root, 'index.html'), 'utf8')

  app.addHook('onSend', async (_request, reply, payload) => {
    reply.headers(headers)
    return payload
  })
  app.get('/', { schema: { hide: true } }, (request, reply) => {
    const [path = ''] = request.url.split('?', 1)
    if (!path.endsWith('/')) return reply.redirect(`${path.split('/').at(-1)}/`)
    return reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache').send(page)
  })
  // Their names change with their contents.
  const files = await keepFiles(join(root, 'assets'), { 'cache-control': 'public, max-age=31536000, immutable' })
  app.get<{ Params: { '*': string } }>(
    '/console/assets/*',
    { schema: { hide: true } },
    (request, reply) => files.send(request.params['*'], request, reply) ?? reply.callNotFound(),
  )
}
