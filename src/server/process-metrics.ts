import { performance } from 'node:perf_hooks'
import { Counter, collectDefaultMetrics, type Registry } from 'prom-client'

/** What the process itself uses, whatever it does: once in a process. */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry })
  new Counter({
    name: 'multigate_event_loop_busy_seconds_total',
    help: 'Time in which the thread that reads requests and writes answers had something to do: near 1 a second and process, it is the limit',
    registers: [registry],
    collect() {
      this.reset()
      this.inc(performance.eventLoopUtilization().active / 1000)
    },
  })
}
