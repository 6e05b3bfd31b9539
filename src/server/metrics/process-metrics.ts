import { performance } from 'node:perf_hooks'
import { Counter, collectDefaultMetrics, type Registry } from 'prom-client'

/** Gauges of prom-client that are named as only counters may be, which promtool refuses; they have twins without `_total`, by type. */
const misnamed = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total']

/** Resources of the process; registered once per process. `droppedLogLines`: those that could not be written, since its start. */
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
