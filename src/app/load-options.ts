import type { FastifyBaseLogger } from 'fastify'
import { cacheFolder } from '../config/cache-folder.ts'
import { systemClock } from '../model/base/clock.ts'
import { callsAhead, FairShare } from '../model/batching/fair-share.ts'
import type { EnginePool } from '../model/engines/pool/contract.ts'
import { availableCores } from '../model/engines/pool/cores.ts'
import { createEnginePool } from '../model/engines/pool/pool.ts'
import type { LoadOptions } from '../model/prediction/contract.ts'
import type { Configuration } from '../schemas/configuration.ts'

export type Log = Pick<FastifyBaseLogger, 'info' | 'warn' | 'error'>

/** Starts the configured worker threads. Rejects with ENGINE_UNAVAILABLE. */
export function startPool(configuration: Configuration, log: Log): Promise<EnginePool> {
  return createEnginePool({
    engine: configuration.MULTIGATE_ENGINE,
    workers: configuration.MULTIGATE_WORKERS || availableCores(),
    onWorkerLost: (reason) => log.error({ reason }, 'a worker thread died; another takes its place'),
    onReloadFailed: ({ folder }, error) =>
      log.error({ err: error, folder }, 'a new worker thread could not load a graph'),
  })
}

/** How models are loaded into the pool, by the configuration; they share its workers. */
export function loadOptions(
  configuration: Configuration,
  pool: EnginePool,
  log: Log,
): LoadOptions & { share: FairShare } {
  return {
    pool,
    share: new FairShare(pool.size, callsAhead),
    clock: systemClock,
    compiler: {
      cache: cacheFolder(configuration.MULTIGATE_CACHE),
      cacheBytes: configuration.MULTIGATE_CACHE_BYTES,
      candidateBytes: configuration.MULTIGATE_CANDIDATE_CACHE_BYTES,
      now: Date.now,
      onWarning: (message) => log.warn(message),
    },
    maxBatchRows: configuration.MULTIGATE_MAX_BATCH_ROWS,
    maxDelayMs: configuration.MULTIGATE_MAX_DELAY_MS,
    maxQueueRows: configuration.MULTIGATE_MAX_QUEUE_ROWS,
    maxRequestRows: configuration.MULTIGATE_MAX_REQUEST_ROWS,
  }
}
