import { performance } from 'node:perf_hooks'
import { collectDefaultMetrics, type Registry } from 'prom-client'
import type { EnginePoolStats } from '../../model/engines/pool/engine-pool.ts'
import type { TableStatus } from '../../model/serving/tables/tables.ts'
import { createReadMetrics, type Versions } from './read-metrics.ts'
import type { RegistrySources } from './registry-metrics.ts'

/** The sources of metrics about what clients hold, asked at every scrape. */
export interface ConnectionSources {
  /** Bytes of bodies that are being received. */
  pendingBytes?(): number
  /** Bytes of answers that are being sent. */
  unreadBytes?(): number
  /** Connections that are open. */
  connections?(): number
  /** How full the service is, 0 to 1. */
  saturation?(): number
}

/** `refused`: connections that were closed as they came. */
export function registerConnectionMetrics(
  registry: Registry,
  { pendingBytes, unreadBytes, saturation, connections }: ConnectionSources,
  refused: () => number,
): void {
  const { gauge, counter } = createReadMetrics(registry)
  gauge(
    'multigate_pending_body_bytes',
    'Bytes of request bodies of which a part has arrived',
    () => pendingBytes?.() ?? 0,
  )
  gauge(
    'multigate_pending_answer_bytes',
    'Bytes of responses that clients have yet to read, and of requests that wait behind them',
    () => unreadBytes?.() ?? 0,
  )
  gauge(
    'multigate_saturation',
    'How full the service is, 0 to 1: the largest share of event loop, workers and tolerable wait, over about ten seconds',
    () => saturation?.() ?? 0,
    'max',
  )
  gauge('multigate_connections', 'Open connections', () => connections?.() ?? 0)
  counter('multigate_connections_refused_total', 'Connections closed on arrival because too many were open', refused)
}

/**
 * Gauges of prom-client that are named as only counters may be, which promtool refuses; they have twins without
 * `_total`, by type.
 */
const misnamed = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total']

/**
 * Resources of the process; registered once per process. `droppedLogLines`: those that could not be written, since its
 * start.
 */
export function registerProcessMetrics(registry: Registry, droppedLogLines: () => number): void {
  collectDefaultMetrics({ register: registry })
  for (const name of misnamed) registry.removeSingleMetric(name)
  const { counter } = createReadMetrics(registry)
  counter(
    'multigate_log_lines_dropped_total',
    'Log lines that could not be written, as on a full disk',
    droppedLogLines,
  )
  counter(
    'multigate_event_loop_busy_seconds_total',
    'Time that the event loop was busy; close to 1 per second and process, it is the bottleneck',
    () => performance.eventLoopUtilization().active / 1000,
  )
}

/** The state of the service, read at every scrape. */
export interface MetricsSources extends ConnectionSources, RegistrySources {
  models: Versions
  /** Feature tables that are read. */
  tables?(): TableStatus[]
  pool(): EnginePoolStats
}
