import { Counter, type Registry } from 'prom-client'
import { systemClock } from '../base/clock.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { registerAccessMetrics } from '../server/metrics/access-metrics.ts'
import type { Access } from '../server/request/context.ts'
import { openAreasOf } from './check-access.ts'
import { openKeys } from './key-file.ts'
import type { Log } from './load-options.ts'

/** Keys and what is counted of them; undefined where none are configured. Rejects where they can't be read. */
export async function openAccess(
  configuration: Configuration,
  { log, registry, onFailed }: { log: Log; registry: Registry; onFailed(): void },
): Promise<(Access & { close(): void }) | undefined> {
  const path = configuration.MULTIGATE_KEYS
  if (path === '') return undefined
  const open = openAreasOf(configuration)
  const { guard, close } = await openKeys(path, { open, now: systemClock.now, log, onFailed })
  return { guard, metrics: registerAccessMetrics(registry, () => guard.keys), close }
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
