import { Counter, type Registry } from 'prom-client'
import { systemClock } from '../base/clock.ts'
import { reasonOf } from '../base/errors.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { registerAccessMetrics } from '../server/metrics/access-metrics.ts'
import type { Metrics } from '../server/metrics/metrics.ts'
import { Guard } from '../server/security/guard.ts'
import { openAreasOf } from './check-access.ts'
import { readKeys } from './key-file.ts'
import type { Log } from './load-options.ts'
import { watchFiles } from './watched-files.ts'

/**
 * Who may ask what, by the keys of a file, which is read again whenever it changes: one that can't be read changes
 * nothing. Undefined where none is configured. Rejects where it can't be read at first.
 */
export async function openAccess(
  configuration: Configuration,
  { log, metrics, onFailed }: { log: Log; metrics: Metrics; onFailed(): void },
): Promise<{ guard: Guard; close(): void } | undefined> {
  const file = configuration.MULTIGATE_KEYS
  if (file === '') return undefined
  const { keyring, warning } = await readKeys(file)
  if (warning !== undefined) log.warn({ file }, `the file of keys ${warning}`)
  const guard = new Guard({ keyring, open: openAreasOf(configuration), now: systemClock.now })
  registerAccessMetrics(metrics.registry, metrics.keys, () => guard.keys)
  const close = watchFiles([file], async () => {
    try {
      const { keyring } = await readKeys(file)
      guard.replace(keyring)
      log.info({ file, keys: keyring.keys.map(({ id }) => id) }, 'keys have changed')
    } catch (error) {
      onFailed()
      log.error({ file, reason: reasonOf(error) }, 'the former keys stay')
    }
  })
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
