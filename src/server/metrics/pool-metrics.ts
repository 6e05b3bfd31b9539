import { Counter, Gauge, type Registry } from 'prom-client'
import type { ResidencyStats } from '../../model/engines/pool/engine-pool.ts'
import type { MetricsSources } from './connection-metrics.ts'

/** Worker threads of the engine pool, counted at each scrape. */
export function registerPoolMetrics(registry: Registry, pool: MetricsSources['pool']): void {
  const registers = [registry]
  new Gauge({
    name: 'multigate_workers',
    help: 'Worker threads that are alive',
    registers,
    collect() {
      this.set(pool().alive)
    },
  })
  new Counter({
    name: 'multigate_workers_replaced_total',
    help: 'Worker threads that died and were replaced',
    registers,
    collect() {
      this.reset()
      this.inc(pool().replaced)
    },
  })
  if (pool().residency !== undefined) registerResidencyMetrics(registers, () => pool().residency!)
}

/** Metrics of a server whose graphs are closed where they take too much memory. */
function registerResidencyMetrics(registers: Registry[], residency: () => ResidencyStats): void {
  new Gauge({
    name: 'multigate_open_graphs',
    help: 'Graphs that are open in the workers',
    registers,
    collect() {
      this.set(residency().open)
    },
  })
  new Gauge({
    name: 'multigate_open_graph_bytes',
    help: 'Memory of the open graphs and their cached candidates, estimated, which MULTIGATE_RESIDENT_BYTES limits',
    registers,
    collect() {
      this.set(residency().bytes)
    },
  })
  new Counter({
    name: 'multigate_graph_reopens_total',
    help: 'Graphs that were closed to save memory and opened again for a request',
    registers,
    collect() {
      this.reset()
      this.inc(residency().reopened)
    },
  })
  new Counter({
    name: 'multigate_graph_reopen_seconds_total',
    help: 'Time that opening graphs again took',
    registers,
    collect() {
      this.reset()
      this.inc(residency().reopenSeconds)
    },
  })
}
