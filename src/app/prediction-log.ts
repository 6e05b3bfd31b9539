import { hostname } from 'node:os'
import { resolve } from 'node:path'
import type { Registry } from 'prom-client'
import { systemClock } from '../base/clock.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { boundsOf } from '../server/body/read-json.ts'
import { registerLogMetrics } from '../server/metrics/log-metrics.ts'
import { countsOf, type LogStatus } from '../server/prediction-log/log-status.ts'
import { createNewestFiles } from '../server/prediction-log/newest-files.ts'
import { type OpenLog, openLog } from '../server/prediction-log/open-log.ts'
import { parquetScript } from '../server/prediction-log/parquet-script.ts'
import { logScript } from '../server/protocols/log-script.ts'
import type { Log } from './load-options.ts'
import { createPathHider } from './report-event.ts'

/** Opens the prediction log that the settings ask for. */
export async function openPredictionLog(
  configuration: Configuration,
  log: Log,
  registry: Registry,
): Promise<OpenLog & { status: LogStatus }> {
  const folder = resolve(configuration.MULTIGATE_PREDICTION_LOG)
  const { MULTIGATE_PREDICTION_LOG_FILE_BYTES: fileBytes, MULTIGATE_PREDICTION_LOG_MAX_BYTES: maxBytes } = configuration
  if (maxBytes < fileBytes)
    throw new Error(
      `MULTIGATE_PREDICTION_LOG_MAX_BYTES (${maxBytes}) is less than MULTIGATE_PREDICTION_LOG_FILE_BYTES (${fileBytes}): each file would be removed when it is complete`,
    )
  const instance = hostname()
  const converter = await converterBy(configuration, { folder, instance }, log)
  const opened = openLog({
    settings: {
      folder,
      models: resolve(configuration.MULTIGATE_MODELS),
      instance,
      fileBytes,
      fileSeconds: configuration.MULTIGATE_PREDICTION_LOG_FILE_SECONDS,
      maxBytes,
      maxDays: configuration.MULTIGATE_PREDICTION_LOG_MAX_DAYS,
      secret: configuration.MULTIGATE_LOG_SECRET || undefined,
      bounds: boundsOf(configuration.MULTIGATE_MAX_REQUEST_ROWS),
    },
    script: logScript,
    ringBytes: configuration.MULTIGATE_PREDICTION_LOG_BUFFER_BYTES,
    rates: {
      rate: configuration.MULTIGATE_PREDICTION_LOG_SAMPLE,
      failed: configuration.MULTIGATE_PREDICTION_LOG_FAILED,
      slow: configuration.MULTIGATE_PREDICTION_LOG_SLOW,
    },
    slowMs: configuration.MULTIGATE_PREDICTION_LOG_SLOW_MS,
    ...(converter && { onFinished: converter.look }),
    onUnreadable: (reason) => log.warn({ reason }, 'a request could not be recorded in the prediction log'),
    onProblem: (problem) =>
      problem === undefined
        ? log.info({ folder }, 'the prediction log is written again')
        : log.error({ folder, problem }, 'the prediction log cannot be written: requests are answered, and not logged'),
  })
  registerLogMetrics(registry, opened, { maxBytes, converter })
  return {
    ...opened,
    status: statusOf(configuration, folder, opened),
    async close() {
      await Promise.all([opened.close(), converter?.close()])
    },
  }
}

function statusOf(configuration: Configuration, folder: string, opened: OpenLog): LogStatus {
  const hidePaths = createPathHider({ models: resolve(configuration.MULTIGATE_MODELS), other: [folder] })
  return {
    settings: {
      folder,
      format: configuration.MULTIGATE_PREDICTION_LOG_FORMAT,
      sample: configuration.MULTIGATE_PREDICTION_LOG_SAMPLE,
      failed: configuration.MULTIGATE_PREDICTION_LOG_FAILED,
      slow: configuration.MULTIGATE_PREDICTION_LOG_SLOW,
      slow_ms: configuration.MULTIGATE_PREDICTION_LOG_SLOW_MS,
      file_bytes: configuration.MULTIGATE_PREDICTION_LOG_FILE_BYTES,
      file_seconds: configuration.MULTIGATE_PREDICTION_LOG_FILE_SECONDS,
      max_days: configuration.MULTIGATE_PREDICTION_LOG_MAX_DAYS,
    },
    bufferBytes: configuration.MULTIGATE_PREDICTION_LOG_BUFFER_BYTES,
    diskBytes: configuration.MULTIGATE_PREDICTION_LOG_MAX_BYTES,
    counts() {
      const { problem, ...counts } = countsOf(opened)
      // Clients that may read figures see it, too.
      return { ...counts, problem: problem && hidePaths(problem) }
    },
    files: createNewestFiles({ folder, clock: systemClock }),
  }
}

/** The converter of finished files to Parquet, where the settings ask for it; its modules are loaded only then. */
async function converterBy(configuration: Configuration, of: { folder: string; instance: string }, log: Log) {
  if (configuration.MULTIGATE_PREDICTION_LOG_FORMAT !== 'parquet') return undefined
  const { createLogConverter } = await import('../server/prediction-log/log-converter.ts')
  return createLogConverter({
    ...of,
    script: parquetScript,
    onFailure: (file, reason) =>
      log.error({ file, reason }, 'a file of the prediction log could not become Parquet: it keeps lines of JSON'),
  })
}
