import Fastify, { type FastifyInstance } from 'fastify'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import type { EnginePool, EnginePoolOptions } from '../../src/model/engines/pool/engine-pool.ts'
import { createEnginePool } from '../../src/model/engines/pool/pool.ts'
import { FairShare } from '../../src/model/serving/batching/fair-share.ts'
import type { LoadOptions } from '../../src/model/serving/prediction/loaded-model.ts'
import { loadModel } from '../../src/model/serving/prediction/model.ts'
import { Registry, type RegistryEvent, type RegistryOptions } from '../../src/model/serving/registry/registry.ts'
import { createFolderSource } from '../../src/model/serving/registry/source.ts'
import type { Tables } from '../../src/model/serving/tables/tables.ts'
import { readBundle } from '../../src/model/serving/version/read-version.ts'
import { app, serverOptions } from '../../src/server/app.ts'
import { createLargeBodyReader } from '../../src/server/body/large-body-reader.ts'
import { createReader } from '../../src/server/console/reading.ts'
import { createRecorder } from '../../src/server/console/recorder.ts'
import { addFastPath } from '../../src/server/fast-path/fast-path.ts'
import { registerProcessMetrics } from '../../src/server/metrics/connection-metrics.ts'
import { createMetrics, type Metrics } from '../../src/server/metrics/metrics.ts'
import type { Admission } from '../../src/server/overload/admission.ts'
import { createMemoryBudget, type PendingBytes } from '../../src/server/overload/pending-bytes.ts'
import type { Drain } from '../../src/server/plugins/draining.ts'
import type { LogStatus } from '../../src/server/prediction-log/log-status.ts'
import { readerScript } from '../../src/server/protocols/reader-script.ts'
import type { ServerContext } from '../../src/server/request/context.ts'
import type { RequestRecorder } from '../../src/server/request/request-recorder.ts'
import type { RequestTimeline } from '../../src/server/request/request-timeline.ts'
import { inWorkers } from './held-pool.ts'
import { healthy } from './readings.ts'

export interface TestServer {
  fastify: FastifyInstance
  registry: Registry
  metrics: Metrics
  pool: EnginePool
  drain: Drain
  events: RegistryEvent[]
  /** Sends a body to `POST /predict`. */
  predict(
    body: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; headers: Record<string, unknown>; body: any }>
}

export interface TestServerOptions {
  models: string
  clock?: Clock
  pool?: Partial<EnginePoolOptions>
  limits?: Partial<LoadOptions>
  /** Feature tables beside the models. */
  tables?: Tables
  registry?: Partial<RegistryOptions>
  maxBodyBytes?: number
  /** Let cheap calls be computed in the calling thread. */
  callingThread?: boolean
  admission?: Admission
  answers?: PendingBytes
  logger?: object
  timeline?: RequestTimeline
  recorder?: RequestRecorder
  logStatus?: LogStatus
  admin?: boolean
}

/** Admits all there is. */
const unlimited: Admission = {
  enter: () => ({
    admitted: true,
    earliestArrival: systemClock.now(),
    wasRead: () => undefined,
    leave: () => undefined,
  }),
}

/**
 * The whole application on a real engine, reached through `inject`; it listens where a test says so. Models are loaded.
 */
export async function startTestServer(
  t: { teardown(callback: () => Promise<void>): void },
  options: TestServerOptions,
): Promise<TestServer> {
  const clock = options.clock ?? systemClock
  const whole = await createEnginePool({ engine: 'onnx', workers: 1, ...options.pool })
  const pool = options.callingThread ? whole : inWorkers(whole)
  const drain: Drain = { draining: false }
  const events: RegistryEvent[] = []
  const registry: Registry = new Registry({
    source: createFolderSource(options.models),
    load: async (name, version) =>
      loadModel(await readBundle(options.models, name, version), {
        pool,
        clock,
        // Nothing is handed over ahead of time: tests count what waits.
        share: new FairShare(pool.size),
        maxBatchRows: 64,
        maxDelayMs: 0,
        maxQueueRows: 1000,
        maxRequestRows: 500,
        observer: metrics.batchObserver(name, version),
        onUnknown: (feature, values) => metrics.countUnknown(name, version, feature, values),
        onCut: (feature, values) => metrics.cutValues(name, version, feature, values),
        onKeys: (...keys) => metrics.countKeys(name, version, ...keys),
        ...options.limits,
        ...(options.tables && { tables: options.tables }),
      }),
    mode: 'latest',
    defaultModel: undefined,
    preferredModel: 'ads-funnel',
    requiredModels: [],
    now: clock.now,
    onEvent: (event) => events.push(event),
    ...options.registry,
  })
  const metrics = createMetrics({
    models: () => registry.live(),
    summary: () => registry.summary(),
    pool: () => pool.stats(),
    tables: () => options.tables?.status() ?? [],
  })
  registerProcessMetrics(metrics.registry, () => 0)
  const fastify = Fastify({
    ...serverOptions({ maxBodyBytes: options.maxBodyBytes ?? 1_000_000, timeline: options.timeline }),
    ...(options.logger ? { logger: options.logger } : {}),
  })
  const bodies = createMemoryBudget({ maxBytes: Number.POSITIVE_INFINITY }).part()
  const maxBodyBytes = options.maxBodyBytes ?? 1_000_000
  const reader = createLargeBodyReader({ bodies, maxBodyBytes, maxRows: 10_000, script: readerScript })
  const read = createReader({
    metrics,
    models: () => registry.live(),
    workers: () => ({ ...pool.stats(), busySeconds: 0, slots: pool.size }),
    connections: () => 0,
    condition: () => healthy,
    saturation: () => 0,
    logCounts: () => options.logStatus?.counts(),
    deadlineMs: 600_000,
  })
  const context: ServerContext = {
    reader,
    registry,
    folder: options.models,
    tables: () => options.tables?.status() ?? [],
    metrics,
    clock,
    drain,
    admission: options.admission ?? unlimited,
    bodies,
    answers: options.answers ?? createMemoryBudget({ maxBytes: Number.POSITIVE_INFINITY }).part(),
    admin: options.admin ?? false,
    // However slow the machine, nothing is late.
    deadlineMs: 600_000,
    live: createRecorder(async () => ({ answered: [await read()], silent: [] })),
    timeline: options.timeline,
    recorder: options.recorder,
    logStatus: options.logStatus,
  }
  await fastify.register(app, { context, version: '0.0.0' })
  // `inject` does not take it; what listens is like the real server.
  addFastPath(fastify.server, { context, log: fastify.log, maxBodyBytes })
  t.teardown(async () => {
    await fastify.close()
    await registry.close()
    await reader.close()
    await pool.close()
  })
  await registry.reconcile()
  return {
    fastify,
    registry,
    metrics,
    pool,
    drain,
    events,
    async predict(body, headers = {}) {
      const payload = typeof body === 'string' ? body : JSON.stringify(body)
      const answer = await fastify.inject({
        method: 'POST',
        url: '/predict',
        payload,
        headers: { 'content-type': 'application/json', ...headers },
      })
      return { status: answer.statusCode, headers: answer.headers, body: answer.json() }
    },
  }
}
