import type { Registry } from 'prom-client'
import type { EnginePoolStats } from '../../model/engines/pool/engine-pool.ts'
import { createReadMetrics } from './read-metrics.ts'

/** Worker threads of the engine pool, counted at each scrape. */
export function registerPoolMetrics(registry: Registry, pool: () => EnginePoolStats): void {
  const { gauge, counter } = createReadMetrics(registry)
  gauge('multigate_workers', 'Worker threads that are alive', () => pool().alive)
  counter('multigate_workers_replaced_total', 'Worker threads that died and were replaced', () => pool().replaced)
  if (pool().residency === undefined) return
  // Graphs are closed where they take too much memory.
  const residency = () => pool().residency!
  gauge('multigate_open_graphs', 'Graphs that are open in the workers', () => residency().open)
  gauge(
    'multigate_open_graph_bytes',
    'Memory of the open graphs and their cached candidates, estimated, which MULTIGATE_RESIDENT_BYTES limits',
    () => residency().bytes,
  )
  counter(
    'multigate_graph_reopens_total',
    'Graphs that were closed to save memory and opened again for a request',
    () => residency().reopened,
  )
  counter(
    'multigate_graph_reopen_seconds_total',
    'Time that opening graphs again took',
    () => residency().reopenSeconds,
  )
}
