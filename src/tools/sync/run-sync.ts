import type { Log } from '../../app/load-options.ts'
import { createLogger } from '../../app/logging.ts'
import { serveMetrics } from '../../app/serve-metrics.ts'
import { readConfiguration } from '../../base/configuration.ts'
import { reasonOf } from '../../base/errors.ts'
import { createSyncMetrics } from './metrics.ts'
import { openSource } from './open-source.ts'
import { type CopyProgress, createCopyProgress } from './progress.ts'
import { fieldsOf, type VersionId } from './records.ts'
import { keepSynchronised, Synchroniser, type SyncPass } from './synchroniser.ts'

export interface SyncCommandOptions {
  once?: true
  /** Seconds. */
  interval: number
  /** Seconds. */
  keep: number
  maxBytes?: number
  port?: number
  host?: string
}

/** Runs `multigate sync` until it is done or stopped; resolves with the exit code. */
export async function runSync(
  address: string,
  folder: string,
  options: SyncCommandOptions,
  interrupted: AbortSignal,
): Promise<number> {
  const terminated = new AbortController()
  process.once('SIGTERM', () => terminated.abort(new Error('terminated')))
  const signal = AbortSignal.any([interrupted, terminated.signal])
  const { configuration } = readConfiguration(process.env, {})
  const log = createLogger(configuration)
  const metrics = createSyncMetrics()
  const source = await openSource(address)
  const begun = (id: VersionId, bytes: number) => log.info({ ...fieldsOf(id), bytes }, 'copying a version')
  const progress = createCopyProgress(process.stderr, begun, () => performance.now())
  const synchroniser = await Synchroniser.open({
    source,
    folder,
    keep: options.once ? undefined : options.keep * 1000,
    mostBytes: options.maxBytes,
    now: () => performance.now(),
    onBytes(bytes) {
      metrics.bytes(bytes)
      progress.bytes(bytes)
    },
    onCopy: progress.begin,
  })
  signal.addEventListener('abort', progress.stop)
  if (options.once) return copyOnce(synchroniser, { log, progress, signal })
  const server =
    options.port === undefined
      ? undefined
      : await serveMetrics(metrics.registry, options.port, options.host ?? configuration.MULTIGATE_HOST, log)
  log.info({ source: source.name, folder, interval: options.interval }, 'syncing')
  await keepSynchronised(synchroniser, {
    interval: options.interval * 1000,
    signal,
    onPass(pass) {
      progress.stop()
      metrics.passed(pass)
      report(pass, log)
    },
    onFailure(error) {
      progress.stop()
      metrics.passed(undefined)
      log.error({ reason: reasonOf(error) }, 'the source could not be read; the folder stays unchanged')
    },
  })
  server?.close()
  server?.closeAllConnections()
  return 0
}

async function copyOnce(
  synchroniser: Synchroniser,
  { log, progress, signal }: { log: Log; progress: CopyProgress; signal: AbortSignal },
): Promise<number> {
  try {
    report(await synchroniser.run(signal).finally(progress.stop), log)
  } catch (error) {
    signal.throwIfAborted()
    log.error({ reason: reasonOf(error) }, 'the source could not be read; the folder stays unchanged')
  }
  if (await synchroniser.holdsModels()) return 0
  log.error('the folder holds no model')
  return 1
}

function report({ copied, removed, present, listed, problems }: SyncPass, log: Log): void {
  for (const id of copied) log.info(fieldsOf(id), 'version copied')
  for (const id of removed) log.info(fieldsOf(id), 'version removed: the source no longer lists it')
  for (const reason of problems) log.error({ reason }, 'not copied')
  if (copied.length > 0 || problems.length > 0) log.info({ present, listed }, 'pass done')
}
