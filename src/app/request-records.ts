import type { Registry } from 'prom-client'
import { systemClock } from '../base/clock.ts'
import type { Configuration } from '../schemas/configuration.ts'
import type { LogStatus } from '../server/prediction-log/log-status.ts'
import type { PredictionLog } from '../server/prediction-log/prediction-log.ts'
import { createRequestRecorder, type RequestRecorder } from '../server/request/request-recorder.ts'
import { createRequestTimeline, type RequestTimeline } from '../server/request/request-timeline.ts'
import type { Log } from './load-options.ts'
import { openTraces } from './traces.ts'

/** Records of requests that have ended. */
export interface RequestRecords {
  /** Undefined where neither the slowest nor the last requests are kept. */
  recorder: RequestRecorder | undefined
  /** Undefined where requests are not logged, kept or traced. */
  timeline: RequestTimeline | undefined
  /** Undefined where predictions are not logged. */
  predictionLog: PredictionLog | undefined
  logStatus: LogStatus | undefined
  /** Sends traces that have not been sent, and writes what waits for the prediction log, for a limited time. */
  close(): Promise<void>
}

/** The request log, recorded requests, traces and the prediction log, each where the settings ask for it. */
export async function openRecords(configuration: Configuration, log: Log, registry: Registry): Promise<RequestRecords> {
  const { MULTIGATE_LOG_REQUESTS: logs, MULTIGATE_LOG_SAMPLE } = configuration
  const { MULTIGATE_SLOW_REQUESTS: slow, MULTIGATE_RECENT_REQUESTS: recent } = configuration
  const bodies = configuration.MULTIGATE_SLOW_BODIES
  const isRecorded = slow + recent > 0
  if (bodies && !isRecorded)
    log.warn('MULTIGATE_SLOW_BODIES has no effect without MULTIGATE_SLOW_REQUESTS or MULTIGATE_RECENT_REQUESTS')
  const { now } = systemClock
  const traces = await openTraces(configuration, { log, registry })
  const recorder = isRecorded ? createRequestRecorder({ slow, recent, bodies, now }) : undefined
  const sample = logs ? MULTIGATE_LOG_SAMPLE : undefined
  const isNeeded = logs || recorder !== undefined || traces !== undefined
  const predictionLog = await predictionLogBy(configuration, log, registry)
  return {
    recorder,
    predictionLog: predictionLog?.log,
    logStatus: predictionLog?.status,
    timeline: isNeeded ? createRequestTimeline({ sample, recorder, traces, now }) : undefined,
    async close() {
      await Promise.all([traces?.close(), predictionLog?.close()])
    },
  }
}

/** Its modules are loaded only where it is on. */
async function predictionLogBy(configuration: Configuration, log: Log, registry: Registry) {
  if (configuration.MULTIGATE_PREDICTION_LOG === '') return undefined
  const { openPredictionLog } = await import('./prediction-log.ts')
  return openPredictionLog(configuration, log, registry)
}
