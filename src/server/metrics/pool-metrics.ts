import { Counter, Gauge, type Registry } from 'prom-client'
import type { MetricsSources } from './sources.ts'

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
}
