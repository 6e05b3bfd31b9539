import { performance } from 'node:perf_hooks'
import { Counter, collectDefaultMetrics, Gauge, type Registry } from 'prom-client'
import type { EnginePoolStats } from '../../model/engines/pool/engine-pool.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
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

/** Answers a counter of connections that were closed as they came. */
export function registerConnectionMetrics(registry: Registry, sources: ConnectionSources): Counter {
  const registers = [registry]
  const now = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  now(
    'multigate_pending_body_bytes',
    'Bytes of request bodies of which a part has arrived',
    () => sources.pendingBytes?.() ?? 0,
  )
  now(
    'multigate_pending_answer_bytes',
    'Bytes of responses that clients have yet to read, and of requests that wait behind them',
    () => sources.unreadBytes?.() ?? 0,
  )
  new Gauge({
    name: 'multigate_saturation',
    help: 'How full the service is, 0 to 1: the largest share of event loop, workers and tolerable wait, over about ten seconds',
    registers,
    aggregator: 'max',
    collect() {
      this.set(sources.saturation?.() ?? 0)
    },
  })
  now('multigate_connections', 'Open connections', () => sources.connections?.() ?? 0)
  return new Counter({
    name: 'multigate_connections_refused_total',
    help: 'Connections closed on arrival because too many were open',
    registers,
  })
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
  new Counter({
    name: 'multigate_log_lines_dropped_total',
    help: 'Log lines that could not be written, as on a full disk',
    registers: [registry],
    collect() {
      this.reset()
      this.inc(droppedLogLines())
    },
  })
  new Counter({
    name: 'multigate_event_loop_busy_seconds_total',
    help: 'Time that the event loop was busy; close to 1 per second and process, it is the bottleneck',
    registers: [registry],
    collect() {
      this.reset()
      this.inc(performance.eventLoopUtilization().active / 1000)
    },
  })
}

/** The state of the service, read at every scrape. */
export interface MetricsSources extends ConnectionSources, RegistrySources {
  models(): { name: string; version: string; model: LoadedModel }[]
  pool(): EnginePoolStats
}
