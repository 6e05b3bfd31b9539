import type { Registry } from 'prom-client'
import { systemClock } from '../model/base/clock.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { createRequestTimeline, type RequestTimeline } from '../server/request/request-timeline.ts'
import { createSlowRequests, type SlowRequests } from '../server/request/slow-requests.ts'
import type { Log } from './load-options.ts'
import { openTraces } from './traces.ts'

/** Records of requests that have ended. */
export interface RequestRecords {
  /** Undefined where the slowest requests are not kept. */
  slow: SlowRequests | undefined
  /** Undefined where requests are not logged, kept or traced. */
  timeline: RequestTimeline | undefined
  /** Sends traces that have not been sent, for a limited time. */
  close(): Promise<void>
}

/** The request log, the slowest requests and traces, each where the settings ask for it. */
export async function openRecords(configuration: Configuration, log: Log, registry: Registry): Promise<RequestRecords> {
  const { MULTIGATE_LOG_REQUESTS: logs, MULTIGATE_LOG_SAMPLE, MULTIGATE_SLOW_REQUESTS: most } = configuration
  const bodies = configuration.MULTIGATE_SLOW_BODIES
  if (bodies && most === 0) log.warn('MULTIGATE_SLOW_BODIES has no effect without MULTIGATE_SLOW_REQUESTS')
  const { now } = systemClock
  const traces = await openTraces(configuration, { log, registry })
  const slow = most > 0 ? createSlowRequests({ most, now }) : undefined
  const sample = logs ? MULTIGATE_LOG_SAMPLE : undefined
  const isNeeded = logs || slow !== undefined || traces !== undefined
  return {
    slow,
    timeline: isNeeded ? createRequestTimeline({ sample, slow, bodies, traces, now }) : undefined,
    close: async () => traces?.close(),
  }
}
