import type { Server } from 'node:http'
import compress from '@fastify/compress'
import { type FastifyHttpOptions, type FastifyInstance, LogController } from 'fastify'
import { createDecoders } from './body/decoders.ts'
import { answerUnreadable } from './errors/client-error.ts'
import { problems, sendProblem } from './errors/error-handler.ts'
import { toProblem } from './errors/problem-details.ts'
import type { ConnectionMemoryOptions } from './overload/connection-memory.ts'
import { unreadAnswers } from './overload/kept-answer.ts'
import { pipelining } from './overload/pipelining.ts'
import { draining } from './plugins/draining.ts'
import { openapi } from './plugins/openapi.ts'
import { components } from './plugins/openapi-components.ts'
import { documentSchemas } from './plugins/openapi-schemas.ts'
import { requestId, requestIdOf, traceLogger } from './plugins/request-id.ts'
import { strictHttp } from './plugins/strict-http.ts'
import { inferRoutes } from './protocols/open-inference/infer.ts'
import { inferMetadataRoutes } from './protocols/open-inference/infer-metadata.ts'
import { inferModelRoutes } from './protocols/open-inference/infer-model.ts'
import { inferRepositoryRoutes } from './protocols/open-inference/infer-repository.ts'
import { predictRoutes } from './protocols/predict/predict.ts'
import { servingRoutes } from './protocols/tensorflow-serving/serving.ts'
import { servingMetadataRoutes } from './protocols/tensorflow-serving/serving-metadata.ts'
import type { LiveSource, ServerContext } from './request/context.ts'
import { admittedRequest } from './request/prediction-route.ts'
import { type RequestTimeline, requestFollowing } from './request/request-timeline.ts'
import { debugRoutes } from './routes/debug.ts'
import { fieldValuesRoutes } from './routes/example.ts'
import { featureTableRoutes } from './routes/feature-tables.ts'
import { modelVersionRoutes } from './routes/model-versions.ts'
import { modelRoutes } from './routes/models.ts'
import { metricsRoutes, probeRoutes } from './routes/operation.ts'
import { pinRoutes } from './routes/pins.ts'
import { predictionLogRoutes } from './routes/prediction-log.ts'
import { requestRoutes } from './routes/requests.ts'
import { guarded } from './security/guarded.ts'

export interface AppOptions {
  context: ServerContext
  /** Version of multigate, for the OpenAPI document. */
  version: string
  /** Administration and metrics have a port of their own; default: false. */
  adminApart?: boolean
  /** Origins whose pages may read responses; default: none. */
  corsOrigins?: readonly string[]
}

/**
 * The whole HTTP interface as a Fastify plugin; it never listens. All that it sets up holds for its own routes alone.
 */
export async function app(fastify: FastifyInstance, options: AppOptions): Promise<void> {
  const { version, adminApart = false, corsOrigins = [] } = options
  // An application around this one may compress and decompress itself.
  const hostCompresses = fastify.hasReplyDecorator('compress')
  const context = hostCompresses ? options.context : { ...options.context, decoders: createDecoders() }
  await registerBasics(fastify, context)
  if (corsOrigins.length > 0) {
    const { cors } = await import('./security/cors.ts')
    await fastify.register(cors, { origins: corsOrigins })
  }
  const { guard, metrics } = context
  if (guard !== undefined)
    await fastify.register(guarded, { guard, onDenied: (denial, area) => metrics.keys.denied(denial, area) })
  // Routes with large responses ask for compression.
  if (!hostCompresses) await fastify.register(compress, { globalCompression: false, globalDecompression: false })
  await boundAnswers(fastify, context)
  fastify.decorateRequest(admittedRequest, null)
  // Where administration has a port of its own, the console is there.
  const live = adminApart ? undefined : context.live
  await fastify.register(openapi, { version, hasConsole: live !== undefined })
  if (live === undefined)
    fastify.get('/', { schema: { hide: true } }, ({ url }, reply) =>
      // A proxy may strip a prefix that is not known here.
      reply.redirect(url.split('?', 1)[0]!.endsWith('/') ? 'docs' : `${fastify.prefix}/docs`),
    )
  else await registerConsole(fastify, context, live)
  await fastify.register(predictRoutes, { context })
  await fastify.register(inferRoutes, { context })
  await fastify.register(inferMetadataRoutes, { context, version })
  await fastify.register(servingRoutes, { context })
  await fastify.register(servingMetadataRoutes, { context })
  await fastify.register(inferModelRoutes, { context })
  await fastify.register(modelRoutes, { context })
  await fastify.register(modelVersionRoutes, { context })
  await fastify.register(fieldValuesRoutes, { context })
  await fastify.register(featureTableRoutes, { context })
  await fastify.register(probeRoutes, { context })
  if (adminApart) return
  await fastify.register(debugRoutes, { context })
  await fastify.register(requestRoutes, { context })
  await fastify.register(predictionLogRoutes, { context })
  await fastify.register(inferRepositoryRoutes, { context })
  await fastify.register(pinRoutes, { context })
  await fastify.register(metricsRoutes, { context })
}

/**
 * The application of the administration port, which asks for no key: administration, metrics and probes, and the
 * console with what it asks.
 */
export async function adminApp(fastify: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  await registerBasics(fastify, context)
  await boundAnswers(fastify, context)
  for (const schema of Object.values(documentSchemas(components))) fastify.addSchema(schema)
  await fastify.register(probeRoutes, { context })
  const own = { ...context, decoders: createDecoders(), admin: true }
  await fastify.register(inferRepositoryRoutes, { context: own })
  await fastify.register(pinRoutes, { context: own })
  await fastify.register(debugRoutes, { context: own })
  await fastify.register(requestRoutes, { context: own })
  await fastify.register(predictionLogRoutes, { context: own })
  await fastify.register(metricsRoutes, { context })
  if (context.live === undefined) return
  await fastify.register(compress, { globalCompression: false, globalDecompression: false })
  fastify.decorateRequest(admittedRequest, null)
  const open = { ...own, guard: undefined }
  await fastify.register(predictRoutes, { context: open })
  await fastify.register(modelRoutes, { context: open })
  await fastify.register(modelVersionRoutes, { context: open })
  await fastify.register(fieldValuesRoutes, { context: open })
  await fastify.register(featureTableRoutes, { context: open })
  await registerConsole(fastify, open, context.live)
}

/** The console: imported only where it is on. */
async function registerConsole(fastify: FastifyInstance, context: ServerContext, source: LiveSource): Promise<void> {
  const { consoleRoutes } = await import('./console/console.ts')
  await fastify.register(consoleRoutes, { context, source })
}

/**
 * Registers the parts that both ports share, before any route: bounds on connections, ids, errors, and what happens at
 * shutdown.
 */
async function registerBasics(fastify: FastifyInstance, context: ServerContext): Promise<void> {
  const { timeline, drain } = context
  // Answers have the form of their types already: serializers made from schemas would only lengthen the start.
  fastify.setSerializerCompiler(() => JSON.stringify)
  await fastify.register(pipelining, memoryOf(context))
  if (timeline !== undefined) await fastify.register(requestFollowing, { timeline })
  await fastify.register(problems)
  await fastify.register(requestId)
  await fastify.register(strictHttp)
  await fastify.register(draining, { drain })
}

/** Bounds answers that nobody reads; registered after what compresses them. */
async function boundAnswers(fastify: FastifyInstance, context: ServerContext): Promise<void> {
  await fastify.register(unreadAnswers, memoryOf(context))
}

/** The memory that connections may hold. */
function memoryOf({ answers, metrics }: ServerContext): ConnectionMemoryOptions {
  return { answers, onGivenUp: () => metrics.shed('unread') }
}

/**
 * Options of the HTTP or HTTPS server: hooks refuse a request without `Host`, since Node's own answer is not problem
 * details.
 */
export const strictByHooks = { requireHostHeader: false }

/** Options of the Fastify instance that `app` belongs into. */
export function serverOptions(options: {
  maxBodyBytes: number
  timeline?: RequestTimeline | undefined
}): FastifyHttpOptions<Server> {
  return {
    bodyLimit: options.maxBodyBytes,
    http: strictByHooks,
    // The schemas of routes are this program's own: to check them would take the start .03 s.
    ajv: { customOptions: { validateSchema: false } },
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    // However slow the machine is, the start is not given up.
    pluginTimeout: 0,
    requestIdHeader: false,
    genReqId: (request) => requestIdOf(request),
    childLoggerFactory: options.timeline?.childLogger ?? traceLogger,
    // A parameter is a model's name: at most so long.
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 128 },
    // A connection that is already open when the server closes is still answered.
    return503OnClosing: false,
    // Longest time for a request to arrive whole, ms: a client that sends slower is cut off.
    requestTimeout: 60_000,
    // And for anything to be read or written, ms: longer than any deadline. Else answers that nobody reads were kept
    // for ever.
    connectionTimeout: 660_000,
    clientErrorHandler: answerUnreadable,
    // A path that can't be decoded, and the like: before any route is found, so that no hook sees the answer.
    frameworkErrors(error, request, reply) {
      options.timeline?.follow(request, reply)
      reply.header('x-request-id', request.id).header('connection', 'close')
      sendProblem(reply, toProblem(error, request.id))
    },
  }
}
