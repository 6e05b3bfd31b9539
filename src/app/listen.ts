import { setTimeout } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { systemClock } from '../model/base/clock.ts'
import type { Registry } from '../model/registry/registry.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { app, serverOptions } from '../server/app.ts'
import type { Metrics } from '../server/metrics/metrics.ts'
import { surviveAcceptErrors } from '../server/overload/accept-errors.ts'
import { type ConnectionSource, listenOn } from '../server/overload/connections.ts'
import { createRequestLog } from '../server/request/request-log.ts'
import type { Siblings } from '../server/request/siblings.ts'
import { createHttpWarmUp } from './http-warm-up.ts'
import { createLogging } from './logging.ts'
import { createService } from './service.ts'

export interface RunningServer {
  fastify: FastifyInstance
  /** Where it listens, e.g. `http://127.0.0.1:3000`. */
  url: string
  /** Resolves when the models that were there at the start have been loaded, or have failed. */
  loaded: Promise<void>
  /** Resolves when it is ready for the first time, or with `loaded` where it isn't. */
  started: Promise<void>
  metrics: Metrics
  registry: Registry
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
  /** Other processes of the same service. */
  peers?: Siblings
  /** Models that are not served until they are loaded on demand. */
  unloaded?: readonly string[]
}

/** Builds everything from its configuration and takes connections; models are loaded meanwhile. */
export async function serve(configuration: Configuration, options: ServeOptions = {}): Promise<RunningServer> {
  const connections = options.connections ?? listenOn(configuration.MULTIGATE_HOST, configuration.MULTIGATE_PORT)
  const requestLog = configuration.MULTIGATE_LOG_REQUESTS
    ? createRequestLog({ sample: configuration.MULTIGATE_LOG_SAMPLE, now: systemClock.now })
    : undefined
  const { logger, reportDropped } = createLogging(configuration)
  const fastify = Fastify({
    ...serverOptions({ maxBodyBytes: configuration.MULTIGATE_MAX_BODY_BYTES, requestLog }),
    logger,
  })
  const { log } = fastify
  reportDropped(log)
  let open = 0
  const service = await createService(configuration, {
    log,
    warmUp: createHttpWarmUp({
      ms: configuration.MULTIGATE_WARM_UP_MS,
      maxBodyBytes: configuration.MULTIGATE_MAX_BODY_BYTES,
      log,
      now: systemClock.now,
    }),
    peers: options.peers,
    unloaded: options.unloaded,
    connections: () => open,
  })
  fastify.server.on('connection', (socket) => {
    open++
    socket.once('close', () => {
      open--
    })
  })
  fastify.server.maxConnections = configuration.MULTIGATE_MAX_CONNECTIONS
  surviveAcceptErrors(fastify.server, log, systemClock.now)
  fastify.server.on('drop', () => service.metrics.connectionRefused())

  let url: string
  try {
    await fastify.register(app, { ...service.app, context: { ...service.app.context, requestLog } })
    url = await connections.open(fastify)
  } catch (error) {
    await service.close()
    throw error
  }
  const loaded = service.load(url)

  let closed: Promise<void> | undefined
  const close = async () => {
    service.drain()
    log.info({ drain_delay_ms: configuration.MULTIGATE_DRAIN_DELAY_MS }, 'stopping: not ready from now on')
    await setTimeout(configuration.MULTIGATE_DRAIN_DELAY_MS)
    await connections.stop(longestIdle)
    const closing = Promise.all([fastify.close(), connections.ended()])
    // Clients that have begun to send may finish; none holds up the end by never doing so.
    await Promise.race([closing, setTimeout(longestArrival, undefined, { ref: false })])
    await service.finish()
    await Promise.race([closing, setTimeout(longestDelivery, undefined, { ref: false })])
    fastify.server.closeAllConnections()
    await closing
    await service.close()
    log.info('stopped')
  }
  return {
    fastify,
    url,
    loaded,
    started: service.started,
    metrics: service.metrics,
    registry: service.registry,
    unreadyReasons: service.unreadyReasons,
    close: () => {
      closed ??= close()
      return closed
    },
  }
}
