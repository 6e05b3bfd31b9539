import type { KeyObject } from 'node:crypto'
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { systemClock } from '../base/clock.ts'
import { reasonOf } from '../base/errors.ts'
import { multigateVersion } from '../base/project.ts'
import { commaList, pendingBytesOf } from '../base/settings.ts'
import { homeFolder } from '../base/user-folders.ts'
import type { EnginePool } from '../model/engines/pool/engine-pool.ts'
import type { FairShare } from '../model/serving/batching/fair-share.ts'
import { contractOf, hasFilesOf } from '../model/serving/prediction/compare-contracts.ts'
import type { LoadOptions } from '../model/serving/prediction/loaded-model.ts'
import { loadModel } from '../model/serving/prediction/model.ts'
import { Registry } from '../model/serving/registry/registry.ts'
import { createFolderSource } from '../model/serving/registry/source.ts'
import type { Tables } from '../model/serving/tables/tables.ts'
import { readSignedBundle, readSignedDescription } from '../model/serving/version/signature.ts'
import type { Configuration } from '../schemas/configuration.ts'
import type { AppOptions } from '../server/app.ts'
import { createLargeBodyReader } from '../server/body/large-body-reader.ts'
import type { Reading } from '../server/console/reading.ts'
import { registerProcessMetrics } from '../server/metrics/connection-metrics.ts'
import { createMetrics, type Metrics } from '../server/metrics/metrics.ts'
import { type Admission, createAdmission } from '../server/overload/admission.ts'
import { createMemoryBudget } from '../server/overload/pending-bytes.ts'
import { createSaturation, type Saturation } from '../server/overload/saturation.ts'
import type { Drain } from '../server/plugins/draining.ts'
import type { LogCounts } from '../server/prediction-log/log-status.ts'
import { readerScript } from '../server/protocols/reader-script.ts'
import type { Siblings } from '../server/request/context.ts'
import { allowedHostsOf } from './check-access.ts'
import type { HttpWarmUp } from './http-warm-up.ts'
import { watchInstallation } from './installation.ts'
import { openLive } from './live-figures.ts'
import { type Log, loadOptions, startPool } from './load-options.ts'
import { droppedLogLines } from './logging.ts'
import { checkModelsFolder, readModelKeys } from './models-folder.ts'
import { openTables, unsignedDeltas } from './open-tables.ts'
import { createPathHider, reportDelta, reportEvent } from './report-event.ts'

/** The model of this project that answers requests that name none. */
const shippedDefault = 'ads-funnel'

/** How often the saturation is sampled, ms. */
const saturationInterval = 1000

/**
 * All that stands behind the HTTP interface: models, workers, metrics. Whose the connections are makes no difference.
 */
export interface Service {
  /** Options that `app` is registered with. */
  app: AppOptions
  metrics: Metrics
  registry: Registry
  /**
   * Loads the models of the folder, and looks for changes from then on. Resolves when all have been loaded, or have
   * failed. `url`: where it answers, for the log.
   */
  load(url?: string): Promise<void>
  /** Resolves when it is ready for the first time, or when what `load` waits for is over without that. */
  started: Promise<void>
  /** Reads the counts of this process; undefined where there is no console. */
  read: (() => Promise<Reading>) | undefined
  /** Why requests can't be answered yet, or no longer; empty when ready. */
  unreadyReasons(): string[]
  /** Not ready from now on; goes on answering. */
  drain(): void
  /** Answers what is accepted, takes nothing new. Idempotent. */
  finish(): Promise<void>
  /** After `finish`: frees everything. Idempotent. */
  close(): Promise<void>
}

export interface ServiceOptions {
  log: Log
  /** Worker threads; default: started by the configuration. */
  pool?: Promise<EnginePool> | undefined
  /** Other processes of the same service. */
  peers?: Siblings | undefined
  /** Connections that are open. */
  connections?(): number
  /** Counts of the prediction log; undefined where it is off. */
  logCounts?(): LogCounts | undefined
  /** Models that are not served until they are loaded on demand. */
  unloaded?: readonly string[] | undefined
  /** Asks a model before it is served; not asked any more once the service is ready. */
  warmUp?: HttpWarmUp | undefined
}

/** Most versions that are loaded side by side: each may take the memory of a compiler. */
const mostLoads = 4

/**
 * Starts the workers. Rejects with ENGINE_UNAVAILABLE, or with an Error if the models folder can't be read and is not
 * to be waited for.
 */
export async function createService(configuration: Configuration, options: ServiceOptions): Promise<Service> {
  const { log, connections, warmUp } = options
  const root = resolve(configuration.MULTIGATE_MODELS)
  await checkModelsFolder(root, configuration)
  const modelKeys = await readModelKeys(configuration.MULTIGATE_MODEL_KEYS)
  const pool = await (options.pool ?? startPool(configuration, log))
  const loading = { ...loadOptions(configuration, pool, log), tables: openTables(root, configuration, modelKeys, log) }
  let onStarted: () => void = () => undefined
  const started = new Promise<void>((resolve) => {
    onStarted = resolve
  })
  const drain: Drain = { draining: false }
  const registry = createRegistry(configuration, options, {
    root,
    modelKeys,
    loading,
    metrics: () => metrics,
    onReady: onStarted,
  })
  const buffers = createBuffers(configuration)
  const saturation = saturationOf(loading.share, configuration)
  const sampling = setInterval(() => saturation.sample(), saturationInterval).unref()
  const metrics = createMetrics({
    models: () => registry.live(),
    summary: () => registry.summary(),
    pool: () => pool.stats(),
    tables: () => loading.tables.status(),
    pendingBytes: () => buffers.bodies.bytes,
    unreadBytes: () => buffers.answers.bytes,
    saturation: () => saturation.value,
    ...(connections && { connections }),
  })
  registerProcessMetrics(metrics.registry, droppedLogLines)
  const live = configuration.MULTIGATE_CONSOLE
    ? await openLive(options, { ...loading, configuration, registry, metrics, saturation, pool })
    : undefined
  const context: AppOptions['context'] = {
    ...buffers,
    live: live?.source,
    registry,
    folder: root,
    tables: () => loading.tables.status(),
    metrics,
    clock: systemClock,
    drain,
    peers: options.peers,
    admission: admissionBy(loading.share),
    admin: configuration.MULTIGATE_ADMIN,
    allowedHosts: allowedHostsOf(configuration),
    deadlineMs: configuration.MULTIGATE_DEADLINE_MS,
  }

  let poll: NodeJS.Timeout | undefined
  const stop = () => {
    drain.draining = true
    clearInterval(poll)
    return warmUp?.close()
  }
  return {
    app: { context, version: multigateVersion },
    metrics,
    registry,
    async load(url) {
      const docs = url && { docs: `${url}/docs` }
      log.info({ engine: pool.engine, workers: pool.size, models: root, ...docs }, 'loading models')
      const loaded = registry.reconcile().then(() => {
        const reasons = registry.unreadyReasons()
        if (reasons.length > 0) log.warn({ reasons }, 'not ready')
        onStarted()
      })
      const seconds = configuration.MULTIGATE_POLL_SECONDS
      if (seconds > 0 && !drain.draining) poll = lookEvery(seconds, loading.tables, registry, log)
      await loaded
      await warmUp?.close()
    },
    started,
    read: live?.read,
    unreadyReasons: () => (drain.draining ? ['shutting down'] : registry.unreadyReasons()),
    drain: stop,
    async finish() {
      await stop()
      await registry.close()
    },
    async close() {
      clearInterval(sampling)
      live?.stop()
      await buffers.reader.close()
      await Promise.all([pool.close(), loading.tables.close()])
    },
  }
}

interface RegistryParts {
  /** The models folder. */
  root: string
  /** Keys that may sign versions; where there are none, signatures are not checked. */
  modelKeys: readonly KeyObject[]
  loading: ReturnType<typeof loadOptions>
  /** Called once a model is loaded: the metrics need the registry first. */
  metrics(): Metrics
  /** The service is ready for the first time. */
  onReady(): void
}

/** The models of the folder, loaded, warmed up and reported to the log and the metrics. */
function createRegistry(
  configuration: Configuration,
  { log, warmUp, unloaded = [] }: ServiceOptions,
  { root, modelKeys, loading, metrics, onReady }: RegistryParts,
): Registry {
  const hidePaths = createPathHider({ models: root, other: [loading.compiler?.cache, tmpdir(), homeFolder()] })
  const registry: Registry = new Registry({
    source: createFolderSource(root),
    load: async (name, version, { free, former, loaded }) => {
      const options: LoadOptions = {
        ...loading,
        observer: metrics().batchObserver(name, version),
        rehearse: async (model) => {
          free()
          await warmUp?.run(model)
        },
        onDelta: (event) => reportDelta(event, { model: name, version }, log),
        refuseDeltas: modelKeys.length > 0 ? unsignedDeltas : undefined,
        onUnknown: (feature, values) => metrics().countUnknown(name, version, feature, values),
        onCut: (feature, values) => metrics().cutValues(name, version, feature, values),
        onKeys: (...keys) => metrics().countKeys(name, version, ...keys),
      }
      const bundle = await readSignedBundle(root, name, version, modelKeys)
      if (loaded && hasFilesOf(loaded, bundle)) return loaded
      const model = await loadModel(bundle, options, former)
      model.plan.notes = model.plan.notes.map(hidePaths)
      if (model.plan.products !== undefined) model.plan.products = hidePaths(model.plan.products)
      return model
    },
    mode: configuration.MULTIGATE_VERSIONS,
    incompatible: configuration.MULTIGATE_INCOMPATIBLE,
    readContract: async (name, version) => contractOf(await readSignedDescription(root, name, version, modelKeys)),
    defaultModel: configuration.MULTIGATE_DEFAULT_MODEL || undefined,
    preferredModel: shippedDefault,
    requiredModels: commaList(configuration.MULTIGATE_REQUIRED_MODELS),
    unloaded,
    maxLoads: Math.min(mostLoads, 2 * loading.pool.size),
    unloadAfterMs: configuration.MULTIGATE_UNLOAD_AFTER_SECONDS * 1000,
    keepPreviousMs: configuration.MULTIGATE_KEEP_PREVIOUS_SECONDS * 1000,
    describe: (error) => hidePaths(reasonOf(error)),
    now: systemClock.now,
    onEvent: (event) => {
      reportEvent(event, log, metrics())
      if (event.type !== 'ready') return
      log.info({ models: registry.live().map(({ name, version }) => `${name}/${version}`) }, 'ready')
      // Clients that wait for their responses have the cores to themselves.
      warmUp?.close()
      onReady()
    },
  })
  return registry
}

/** The holders of the bytes of requests and responses, within the configured bounds. */
function createBuffers(configuration: Configuration): Pick<AppOptions['context'], 'bodies' | 'answers' | 'reader'> {
  const budget = createMemoryBudget({ maxBytes: pendingBytesOf(configuration) })
  const bodies = budget.part()
  const reader = createLargeBodyReader({
    bodies,
    maxBodyBytes: configuration.MULTIGATE_MAX_BODY_BYTES,
    maxRows: configuration.MULTIGATE_MAX_REQUEST_ROWS,
    script: readerScript,
  })
  return { bodies, answers: budget.part(), reader }
}

/** How full this process is, by its event loop, its workers and their queues. */
function saturationOf(share: FairShare, configuration: Configuration): Saturation {
  return createSaturation({
    clock: systemClock,
    loopBusyMs: () => performance.eventLoopUtilization().active,
    workerSeconds: () => share.busySeconds,
    workers: share.slots,
    predictedWait: () => share.predictedWait(),
    deadlineMs: configuration.MULTIGATE_DEADLINE_MS,
  })
}

/** Admission by the predicted wait for the workers; they learn the duration of a turn of the event loop in return. */
function admissionBy(share: FairShare): Admission {
  return createAdmission({
    clock: systemClock,
    predictedWait: (tenant) => share.predictedWait(tenant),
    slots: share.slots,
    onTurn: (ms) => share.eventLoopTurn(ms),
  })
}

/** Looks for new versions of tables and of models every few seconds, and for changes below the process. */
function lookEvery(seconds: number, tables: Tables, registry: Registry, log: Log): NodeJS.Timeout {
  const watching = watchInstallation(process.argv[1]!, log)
  const look = () => {
    tables.refresh()
    registry.reconcile()
    watching.then((lookAtInstallation) => lookAtInstallation())
  }
  return setInterval(look, seconds * 1000).unref()
}
