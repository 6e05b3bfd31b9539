import type { FastifyBaseLogger } from 'fastify'
import { systemClock } from '../base/clock.ts'
import { cacheFolder } from '../base/settings.ts'
import type { GraphSource } from '../model/contracts/engine.ts'
import { availableCores } from '../model/engines/pool/cores.ts'
import type { EnginePool } from '../model/engines/pool/engine-pool.ts'
import { createEnginePool } from '../model/engines/pool/pool.ts'
import { callsAhead, FairShare } from '../model/serving/batching/fair-share.ts'
import type { LoadOptions } from '../model/serving/prediction/loaded-model.ts'
import type { Configuration } from '../schemas/configuration.ts'

export type Log = Pick<FastifyBaseLogger, 'info' | 'warn' | 'error'>

/** Starts the configured worker threads. Rejects with ENGINE_UNAVAILABLE. */
export async function startPool(configuration: Configuration, log: Log): Promise<EnginePool> {
  const onReloadFailed = ({ folder }: GraphSource, error: unknown) =>
    log.error({ err: error, folder }, 'a worker thread could not load a graph again')
  const pool = await createEnginePool({
    engine: configuration.MULTIGATE_ENGINE,
    workers: configuration.MULTIGATE_WORKERS || availableCores(),
    onWorkerLost: (lost) => log.error(lost, 'a worker thread died; another takes its place'),
    onReloadFailed,
  })
  const bytes = configuration.MULTIGATE_RESIDENT_BYTES
  if (bytes === 0) return pool
  const { limitResidency } = await import('../model/engines/pool/residency.ts')
  return limitResidency(pool, { bytes, clock: systemClock, onReloadFailed })
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
    maxListValues: configuration.MULTIGATE_MAX_LIST_VALUES,
  }
}
