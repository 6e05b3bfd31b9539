import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { KeptAnswer } from '../overload/kept-answer.ts'
import { keepFiles } from '../overload/kept-files.ts'
import { components } from './openapi-components.ts'
import { unreadable } from './openapi-errors.ts'
import { documentSchemas, finishDocument, nameOf } from './openapi-schemas.ts'
import { pageHeaders } from './page-headers.ts'

/** Relative to `/docs/json`, wherever a proxy has that. */
const servers = [{ url: '..', description: 'This server' }]

const swaggerUiFiles = join(dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui')), 'static')

const staticName = ({ params }: FastifyRequest) => (params as { '*': string })['*']

/** Fastify copies what it is given. */
const schemas = Object.values(documentSchemas(components))

interface OpenApiOptions {
  version: string
  /** The console is at `/`. */
  hasConsole: boolean
}

/** OpenAPI 3.1 at `/docs/json` and `/docs/yaml`, and Swagger UI at `/docs`. Registered before the routes. */
export const openapi = fastifyPlugin(async (app: FastifyInstance, { version, hasConsole }: OpenApiOptions) => {
  for (const schema of schemas) app.addSchema(schema)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'multigate',
        version,
        description:
          'Online inference for multi-task ranking models: one user, N candidates, the probability of every task.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      // Taken from the paths; `transformObject` replaces it.
      servers: [{ url: app.prefix || '/' }],
      // Every client that reaches the port may send requests; authentication belongs to a proxy.
      security: [],
      tags: [
        { name: 'prediction', description: 'Probabilities for candidates' },
        {
          name: 'open inference protocol',
          description: 'Version 2, with binary tensors, as in KServe, Triton and MLServer',
        },
        {
          name: 'tensorflow serving',
          description: 'Its REST interface, also version 1 of KServe’s protocol',
        },
        { name: 'models', description: 'Models and their versions' },
        { name: 'operation', description: 'Probes and metrics' },
      ],
    },
    transformObject: (document) =>
      'openapiObject' in document
        ? finishDocument({ ...document.openapiObject, servers }, unreadable)
        : document.swaggerObject,
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) =>
        typeof json.$id === 'string' ? nameOf(json.$id) : `schema-${i}`,
    },
  })
  // In its own context: no other response has these headers.
  await app.register(async (docs) => {
    docs.addHook('onSend', (_request, reply, _payload, done) => {
      reply.headers(docsHeaders)
      done()
    })
    // Before the plugin opens and streams them, for each request.
    const files = await keepFiles(swaggerUiFiles, { 'cache-control': 'public, max-age=0' })
    docs.addHook('onRequest', async (request, reply) => {
      if (request.routeOptions.url?.endsWith('/docs/static/*'))
        await (files.send(staticName(request), request, reply) ?? reply.callNotFound())
    })
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      baseDir: swaggerUiFiles,
      logo: { type: 'image/svg+xml', content: await readFile(join(swaggerUiFiles, 'logo.svg')) },
      // Files are relative to the page.
      indexPrefix: '.',
      uiHooks: { onRequest: answerOnce(app) },
      uiConfig: { tryItOutEnabled: true, defaultModelsExpandDepth: 0, displayRequestDuration: true },
      theme: {
        title: 'multigate',
        css: [{ filename: 'theme.css', content: theme }],
        js: hasConsole ? [{ filename: 'console-link.js', content: consoleLink }] : [],
      },
    })
  })
})

/** There is only one document and one server to choose from. */
const theme = `.swagger-ui .topbar, .swagger-ui .scheme-container { display: none }
.console-link { display: block; max-width: 1460px; margin: 0 auto; padding: 16px 20px 0; font: 16px system-ui, sans-serif }`

/**
 * The way back, from `…/docs/static/theme/console-link.js` to `…/`: whatever the prefix, and whether the page ends with
 * a slash.
 */
const consoleLink = `const link = document.createElement('a')
link.className = 'console-link'
link.href = new URL('../../../', document.currentScript.src)
link.textContent = '← Console'
document.body.prepend(link)
`

/** Swagger UI writes style attributes. */
const docsHeaders = pageHeaders("'self' 'unsafe-inline'", "'none'")

/** Serves the document from memory: writing it takes milliseconds of the event loop. */
function answerOnce(app: FastifyInstance): onRequestAsyncHookHandler {
  const formats = {
    json: { type: 'application/json; charset=utf-8', write: () => JSON.stringify(app.swagger()) },
    yaml: { type: 'application/x-yaml', write: () => app.swagger({ yaml: true }) },
  }
  const kept = new Map<string, KeptAnswer>()
  return async (request, reply) => {
    const format = /\/(json|yaml)$/.exec(request.routeOptions.url ?? '')?.[1] as keyof typeof formats | undefined
    if (format === undefined) return
    const { type, write } = formats[format]
    const document = kept.get(format) ?? new KeptAnswer(Buffer.from(write()), type)
    kept.set(format, document)
    await document.send(request, reply)
  }
}
