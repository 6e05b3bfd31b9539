import { setTimeout } from 'node:timers/promises'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Logger } from 'pino'
import { systemClock } from '../base/clock.ts'
import type { EnginePool } from '../model/engines/pool/engine-pool.ts'
import type { Registry } from '../model/serving/registry/registry.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { adminApp, app, serverOptions, strictByHooks } from '../server/app.ts'
import { holdContinue } from '../server/body/raw-body.ts'
import { addFastPath } from '../server/fast-path/fast-path.ts'
import type { Metrics } from '../server/metrics/metrics.ts'
import { type ConnectionSource, listenOn, surviveAcceptErrors } from '../server/overload/connections.ts'
import { lingerOn } from '../server/overload/lingering-close.ts'
import { keptHeaders, refuseConnect } from '../server/plugins/strict-http.ts'
import type { LogStatus } from '../server/prediction-log/log-status.ts'
import type { Siblings } from '../server/request/context.ts'
import type { RequestRecorder } from '../server/request/request-recorder.ts'
import type { RequestTimeline } from '../server/request/request-timeline.ts'
import type { Guard } from '../server/security/guard.ts'
import { checkAccess } from './check-access.ts'
import { createHttpWarmUp } from './http-warm-up.ts'
import { createLogger, isReadable } from './logging.ts'
import { openRecords, type RequestRecords } from './request-records.ts'
import { openSecurity, type Security } from './security.ts'
import { createService, type Service } from './service.ts'
import { drained } from './shutdown.ts'
import type { Tls } from './tls.ts'

export interface RunningServer {
  log: Logger
  fastify: FastifyInstance
  /** Where it listens, e.g. `http://127.0.0.1:3000`. */
  url: string
  /** Resolves when the models that were there at the start have been loaded, or have failed. */
  loaded: Promise<void>
  /** Resolves when it is ready for the first time, or with `loaded` where it isn't. */
  started: Promise<void>
  metrics: Metrics
  registry: Registry
  /** Undefined where clients need no keys. */
  guard: Guard | undefined
  /** Undefined where no requests are recorded. */
  recorder: RequestRecorder | undefined
  /** Undefined where predictions are not logged. */
  logStatus: LogStatus | undefined
  /** Reads the counts of this process; undefined where there is no console. */
  read: Service['read']
  /** Why this process can't answer requests yet, or no longer; empty when ready. */
  unreadyReasons(): string[]
  /**
   * Stops without losing an accepted request: is not ready any more, answers during the drain delay, finishes what
   * is under way, closes. Idempotent.
   */
  close(): Promise<void>
}

/** Once the listener is closed: time for a connection that is open, but asks for nothing, ms. */
const longestIdle = 1_000

/** After that: longest time for a request that has begun to arrive to do so whole, ms. */
const longestArrival = 3_000

/** Once every accepted request is computed: longest time for clients to read their answers, ms. */
const longestDelivery = 2_000

export interface ServeOptions {
  /** Default: the configured port. */
  connections?: ConnectionSource
  /** Default: the configured administration port, if there is one. */
  adminConnections?: ConnectionSource | undefined
  /** Other processes of the same service. */
  peers?: Siblings
  /** Models that are not served until they are loaded on demand. */
  unloaded?: readonly string[]
  /** On a terminal it shows its models, and a request to try; default: true. Only one of several processes does. */
  introduces?: boolean
  /** Default: one by the configuration. */
  log?: Logger
  /** Worker threads that have been started already; the server closes them with itself. */
  pool?: Promise<EnginePool>
}

/** Builds everything from its configuration and takes connections; models are loaded meanwhile. */
export async function serve(configuration: Configuration, options: ServeOptions = {}): Promise<RunningServer> {
  checkAccess(configuration)
  const connections = options.connections ?? listenOn(configuration.MULTIGATE_HOST, configuration.MULTIGATE_PORT)
  const adminConnections = options.adminConnections ?? adminPortOf(configuration)
  const { introduces = true } = options
  const log = options.log ?? createLogger(configuration, { listsModels: introduces })
  let open = 0
  let records: RequestRecords | undefined
  const service = await createService(configuration, {
    log,
    pool: options.pool,
    warmUp: warmUpBy(configuration, log),
    peers: options.peers,
    unloaded: options.unloaded,
    connections: () => open,
    logCounts: () => records?.logStatus?.counts(),
  })
  const { metrics, started, registry, read, unreadyReasons } = service

  let security: Security | undefined
  let fastify: FastifyInstance
  let admin: FastifyInstance | undefined
  let url: string
  try {
    security = await openSecurity(configuration, log, metrics)
    const { guard, tls, corsOrigins } = security
    records = await openRecords(configuration, log, metrics.registry)
    const { timeline, recorder, predictionLog, logStatus } = records
    const context = { ...service.app.context, timeline, recorder, guard, predictionLog, logStatus }
    const create = () => createHttpServer(configuration, { log, timeline, tls, metrics })
    fastify = create()
    fastify.server.on('connection', (socket) => {
      open++
      socket.once('close', () => open--)
    })
    await fastify.register(app, { ...service.app, context, adminApart: adminConnections !== undefined, corsOrigins })
    addFastPath(fastify.server, { context, log, maxBodyBytes: configuration.MULTIGATE_MAX_BODY_BYTES })
    if (adminConnections !== undefined) {
      admin = create()
      await admin.register(adminApp, { context })
      await adminConnections.open(admin)
    }
    url = await connections.open(fastify)
  } catch (error) {
    security?.close()
    await admin?.close()
    await Promise.all([service.close(), records?.close()])
    throw error
  }
  const loaded = service.load(url)
  if (introduces && isReadable(configuration)) started.then(() => showTryIt(registry, url, configuration))

  let closed: Promise<void> | undefined
  const close = async () => {
    service.drain()
    log.info({ drain_delay_ms: configuration.MULTIGATE_DRAIN_DELAY_MS }, 'stopping: not ready from now on')
    await drained(configuration)
    await connections.stop(longestIdle)
    const closing = Promise.all([fastify.close(), connections.ended()])
    security.close()
    // Clients that have begun to send may finish; none holds up the end by never doing so.
    await Promise.race([closing, setTimeout(longestArrival, undefined, { ref: false })])
    await service.finish()
    await Promise.race([closing, setTimeout(longestDelivery, undefined, { ref: false })])
    fastify.server.closeAllConnections()
    await closing
    // Metrics are read to the end.
    await adminConnections?.stop(0)
    admin?.server.closeAllConnections()
    await admin?.close()
    await Promise.all([service.close(), records.close()])
    log.info('stopped')
  }
  return {
    log,
    fastify,
    url,
    loaded,
    started,
    metrics,
    registry,
    guard: security.guard,
    recorder: records.recorder,
    logStatus: records.logStatus,
    read,
    unreadyReasons,
    close: () => (closed ??= close()),
  }
}

function warmUpBy(configuration: Configuration, log: Logger) {
  const { MULTIGATE_WARM_UP_MS: ms, MULTIGATE_MAX_BODY_BYTES: maxBodyBytes } = configuration
  return createHttpWarmUp({ ms, maxBodyBytes, log, now: systemClock.now })
}

/** Shows people at a terminal how to ask. */
async function showTryIt(registry: Registry, url: string, configuration: Configuration): Promise<void> {
  const { tryIt } = await import('./try-it.ts')
  const command = tryIt(registry, url, configuration)
  if (command !== undefined) process.stdout.write(`\nTry it:\n\n  ${command}\n\nCtrl-C stops it.\n\n`)
}

interface HttpServerOptions {
  log: Logger
  timeline: RequestTimeline | undefined
  tls: Tls | undefined
  metrics: Metrics
}

/** A Fastify instance on an HTTP or HTTPS server, within the bounds on connections. */
function createHttpServer(configuration: Configuration, { log, timeline, tls, metrics }: HttpServerOptions) {
  const options = {
    ...serverOptions({ maxBodyBytes: configuration.MULTIGATE_MAX_BODY_BYTES, timeline }),
    loggerInstance: log as FastifyBaseLogger,
  }
  // Fastify has a type of its own for instances on HTTPS.
  const fastify = Fastify(
    (tls === undefined ? options : { ...options, https: { ...tls.options, ...strictByHooks } }) as FastifyServerOptions,
  )
  const { server } = fastify
  tls?.follow(server)
  server.maxHeadersCount = keptHeaders
  server.maxConnections = configuration.MULTIGATE_MAX_CONNECTIONS
  lingerOn(server)
  holdContinue(server)
  server.on('connect', refuseConnect)
  surviveAcceptErrors(server, log, systemClock.now)
  server.on('drop', () => metrics.connectionRefused())
  return fastify
}

function adminPortOf(configuration: Configuration): ConnectionSource | undefined {
  const { MULTIGATE_ADMIN_PORT, MULTIGATE_ADMIN_HOST } = configuration
  if (MULTIGATE_ADMIN_PORT === 0) return undefined
  return listenOn(MULTIGATE_ADMIN_HOST, MULTIGATE_ADMIN_PORT, 'administration at')
}
