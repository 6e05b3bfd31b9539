import { Counter, type Registry } from 'prom-client'
import { systemClock } from '../base/clock.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { registerAccessMetrics } from '../server/metrics/access-metrics.ts'
import type { Metrics } from '../server/metrics/metrics.ts'
import type { Guard } from '../server/security/guard.ts'
import { openAreasOf } from './check-access.ts'
import { openKeys } from './key-file.ts'
import type { Log } from './load-options.ts'

/** Who may ask what, by keys; undefined where none are configured. Rejects where they can't be read. */
export async function openAccess(
  configuration: Configuration,
  { log, metrics, onFailed }: { log: Log; metrics: Metrics; onFailed(): void },
): Promise<{ guard: Guard; close(): void } | undefined> {
  const path = configuration.MULTIGATE_KEYS
  if (path === '') return undefined
  const open = openAreasOf(configuration)
  const { guard, close } = await openKeys(path, { open, now: systemClock.now, log, onFailed })
  registerAccessMetrics(metrics.registry, metrics.keys, () => guard.keys)
  return { guard, close }
}

/** Counts files of keys or certificates that changed and could not be used. */
export function countReloads(registry: Registry): (what: 'keys' | 'tls') => void {
  const failures = new Counter({
    name: 'multigate_reload_failures_total',
    help: 'Changed files of keys or certificates that could not be used; the former ones stay',
    labelNames: ['what'],
    registers: [registry],
  })
  for (const what of ['keys', 'tls']) failures.inc({ what }, 0)
  return (what) => failures.inc({ what })
}
