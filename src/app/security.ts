import { commaList } from '../base/settings.ts'
import type { Configuration } from '../schemas/configuration.ts'
import type { Metrics } from '../server/metrics/metrics.ts'
import type { Guard } from '../server/security/guard.ts'
import type { Log } from './load-options.ts'
import type { Tls } from './tls.ts'

/** Everything that keeps others out; nothing of it is loaded where nothing is configured. */
export interface Security {
  guard: Guard | undefined
  tls: Tls | undefined
  corsOrigins: string[]
  close(): void
}

/** Rejects with an Error that says what is wrong with a file of keys or certificates. */
export async function openSecurity(configuration: Configuration, log: Log, metrics: Metrics): Promise<Security> {
  const { MULTIGATE_KEYS, MULTIGATE_TLS_CERT, MULTIGATE_CORS_ORIGINS } = configuration
  const corsOrigins = commaList(MULTIGATE_CORS_ORIGINS)
  for (const origin of corsOrigins)
    if (!URL.canParse(origin) || new URL(origin).origin !== origin)
      throw new Error(`MULTIGATE_CORS_ORIGINS: ${JSON.stringify(origin)} is no origin, such as https://ads.example.com`)
  if (MULTIGATE_KEYS === '' && MULTIGATE_TLS_CERT === '')
    return { guard: undefined, tls: undefined, corsOrigins, close: () => undefined }
  const [{ countReloads, openAccess }, { openTls }] = await Promise.all([import('./access.ts'), import('./tls.ts')])
  const { registry } = metrics
  const onFailed = countReloads(registry)
  const access = await openAccess(configuration, { log, metrics, onFailed: () => onFailed('keys') })
  try {
    const tls = await openTls(configuration, { log, registry, onFailed: () => onFailed('tls') })
    const close = () => {
      access?.close()
      tls?.close()
    }
    return { guard: access?.guard, tls, corsOrigins, close }
  } catch (error) {
    access?.close()
    throw error
  }
}
