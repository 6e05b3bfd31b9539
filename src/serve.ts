import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { cacheFolder } from './cache-folder.ts'
import { loggerOptions } from './logging.ts'
import { systemClock } from './model/batching/clock.ts'
import { FairShare } from './model/batching/fair-share.ts'
import { readBundle } from './model/bundle/read.ts'
import { availableCores } from './model/engines/cores.ts'
import { createEnginePool } from './model/engines/pool.ts'
import { reasonOf } from './model/errors.ts'
import { loadModel } from './model/prediction/model.ts'
import { Registry, type RegistryEvent } from './model/registry/registry.ts'
import { createFolderSource } from './model/registry/source.ts'
import type { Configuration } from './schemas/configuration.ts'
import { createAdmission } from './server/admission.ts'
import { app, serverOptions } from './server/app.ts'
import { type ConnectionSource, listenOn } from './server/connections.ts'
import type { Drain } from './server/context.ts'
import { createMetrics, type Metrics } from './server/metrics.ts'
import type { Peers } from './server/peers.ts'
import { createPendingBodies } from './server/pending-bodies.ts'

export interface RunningServer {
  fastify: FastifyInstance
  /** Where it listens, e.g. `http://127.0.0.1:3000`. */
  url: string
  /** Resolves when the models that were there at the start have been loaded, or have failed. */
  loaded: Promise<void>
  metrics: Metrics
  /** Why this process can't answer requests yet, or no longer; empty when ready. */
  unreadyReasons(): string[]
  /**
   * Stops without losing an accepted request: not ready at once, goes on answering for the drain delay, finishes what
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
  peers?: Peers
}

/** Builds everything from its configuration and takes connections; models are loaded meanwhile. */
export async function serve(configuration: Configuration, options: ServeOptions = {}): Promise<RunningServer> {
  const { peers } = options
  const connections = options.connections ?? listenOn(configuration.MULTIGATE_HOST, configuration.MULTIGATE_PORT)
  const fastify = Fastify({
    ...serverOptions({
      maxBodyBytes: configuration.MULTIGATE_MAX_BODY_BYTES,
      logRequests: configuration.MULTIGATE_LOG_REQUESTS,
    }),
    logger: loggerOptions(configuration),
  })
  const { log } = fastify
  const workers = configuration.MULTIGATE_WORKERS || availableCores()
  const pool = await createEnginePool({
    engine: configuration.MULTIGATE_ENGINE,
    workers,
    onWorkerLost: (reason) => log.error({ reason }, 'a worker thread died; another takes its place'),
    onReloadFailed: ({ folder }, error) =>
      log.error({ err: error, folder }, 'a new worker thread could not load a graph'),
  })
  const share = new FairShare(pool.size)
  const root = resolve(configuration.MULTIGATE_MODELS)
  const cache = cacheFolder(configuration.MULTIGATE_CACHE)
  const drain: Drain = { draining: false }
  const registry = new Registry({
    source: createFolderSource(root),
    load: async (name, version) =>
      loadModel(await readBundle(root, name, version), {
        pool,
        share,
        clock: systemClock,
        compiler: {
          cache,
          candidateBytes: configuration.MULTIGATE_CANDIDATE_CACHE_BYTES,
          now: Date.now,
          onWarning: (message) => log.warn(message),
        },
        maxBatchRows: configuration.MULTIGATE_MAX_BATCH_ROWS,
        maxDelayMs: configuration.MULTIGATE_MAX_DELAY_MS,
        maxQueueRows: configuration.MULTIGATE_MAX_QUEUE_ROWS,
        maxRequestRows: configuration.MULTIGATE_MAX_REQUEST_ROWS,
        observer: metrics.batchObserver(name, version),
        onUnknown: (feature) => metrics.unknownValue(name, version, feature),
      }),
    mode: configuration.MULTIGATE_VERSIONS,
    defaultModel: configuration.MULTIGATE_DEFAULT_MODEL || undefined,
    requiredModels: configuration.MULTIGATE_REQUIRED_MODELS.split(',')
      .map((name) => name.trim())
      .filter(Boolean),
    now: systemClock.now,
    onEvent: (event) => report(event, fastify, metrics),
  })
  let open = 0
  fastify.server.on('connection', (socket) => {
    open++
    socket.once('close', () => {
      open--
    })
  })
  const bodies = createPendingBodies({ maxBytes: configuration.MULTIGATE_MAX_PENDING_BYTES })
  const metrics = createMetrics({
    models: () => registry.live(),
    pool: () => pool.stats(),
    pendingBytes: () => bodies.bytes,
    connections: () => open,
  })
  await fastify.register(app, {
    context: {
      registry,
      metrics,
      clock: systemClock,
      drain,
      peers,
      admission: createAdmission({
        clock: systemClock,
        predictedWait: () => share.predictedWait(),
        slots: share.slots,
      }),
      bodies,
      deadlineMs: configuration.MULTIGATE_DEADLINE_MS,
    },
    version: await ownVersion(),
  })

  fastify.server.maxConnections = configuration.MULTIGATE_MAX_CONNECTIONS
  fastify.server.on('drop', () => metrics.connectionRefused())

  let url: string
  try {
    url = await connections.open(fastify)
  } catch (error) {
    await pool.close()
    throw error
  }
  log.info({ engine: pool.engine, workers, models: root, docs: `${url}/docs` }, 'loading models')
  const loaded = registry.reconcile().then(() => {
    const reasons = registry.unreadyReasons()
    if (reasons.length === 0)
      log.info({ models: registry.live().map(({ name, version }) => `${name}/${version}`) }, 'ready')
    else log.warn({ reasons }, 'not ready')
  })
  const seconds = configuration.MULTIGATE_POLL_SECONDS
  const poll = seconds > 0 ? setInterval(() => registry.reconcile(), seconds * 1000).unref() : undefined

  let closed: Promise<void> | undefined
  const close = async () => {
    drain.draining = true
    clearInterval(poll)
    log.info({ drain_delay_ms: configuration.MULTIGATE_DRAIN_DELAY_MS }, 'stopping: not ready from now on')
    await setTimeout(configuration.MULTIGATE_DRAIN_DELAY_MS)
    await connections.stop(longestIdle)
    const closing = Promise.all([fastify.close(), connections.ended()])
    // Clients that have begun to send may finish; none holds up the end by never doing so.
    await Promise.race([closing, setTimeout(longestArrival, undefined, { ref: false })])
    await registry.close()
    await Promise.race([closing, setTimeout(longestDelivery, undefined, { ref: false })])
    fastify.server.closeAllConnections()
    await closing
    await pool.close()
    log.info('stopped')
  }
  return {
    fastify,
    url,
    loaded,
    metrics,
    unreadyReasons: () => (drain.draining ? ['shutting down'] : registry.unreadyReasons()),
    close: () => {
      closed ??= close()
      return closed
    },
  }
}

function report(event: RegistryEvent, { log }: FastifyInstance, metrics: Metrics): void {
  switch (event.type) {
    case 'loaded': {
      const { name, version, model, seconds } = event
      log.info({ model: name, version, engine: model.engine, seconds: Number(seconds.toFixed(3)) }, 'model loaded')
      return
    }
    case 'failed':
      log.error({ model: event.name, version: event.version, reason: reasonOf(event.error) }, 'model failed to load')
      return
    case 'unloaded':
      log.info({ model: event.name, version: event.version }, 'model unloaded')
      metrics
        .forget(event.name, event.version)
        .catch((error) => log.error({ err: error }, 'metrics of an unloaded model'))
      return
    case 'problem':
      log.warn(event.message)
  }
}

async function ownVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}
