import { isIP } from 'node:net'
import { commaList } from '../base/settings.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { type Area, openAreas } from '../server/security/areas.ts'

/**
 * Throws an Error that says what to do where administration would be open to everyone who reaches the address, or
 * settings of addresses and access contradict each other.
 */
export function checkAccess(configuration: Configuration): void {
  const { MULTIGATE_ADMIN, MULTIGATE_ADMIN_PORT, MULTIGATE_HOST, MULTIGATE_KEYS } = configuration
  openAreasOf(configuration)
  allowedHostsOf(configuration)
  if (sharesPort(configuration))
    throw new Error(
      `--port (MULTIGATE_PORT) and --admin-port (MULTIGATE_ADMIN_PORT) are both ${MULTIGATE_ADMIN_PORT}: administration needs a port of its own, or 0 for none`,
    )
  const { MULTIGATE_TLS_CERT, MULTIGATE_TLS_KEY, MULTIGATE_TLS_CLIENT_CA } = configuration
  if (MULTIGATE_TLS_CERT === '' && (MULTIGATE_TLS_KEY !== '' || MULTIGATE_TLS_CLIENT_CA !== ''))
    throw new Error(
      'MULTIGATE_TLS_KEY and MULTIGATE_TLS_CLIENT_CA need MULTIGATE_TLS_CERT: without it nothing is encrypted',
    )
  if (!MULTIGATE_ADMIN || MULTIGATE_ADMIN_PORT !== 0 || MULTIGATE_KEYS !== '' || isLoopback(MULTIGATE_HOST)) return
  throw new Error(
    `MULTIGATE_ADMIN=true on ${MULTIGATE_HOST} would let everyone who reaches it unload models: set MULTIGATE_KEYS to a file of keys, MULTIGATE_ADMIN_PORT to a port that only administrators reach, or MULTIGATE_HOST to 127.0.0.1`,
  )
}

/** Warnings of addresses that others may reach, and that ask for nothing. */
export function openToAll(configuration: Configuration): string[] {
  const { MULTIGATE_HOST, MULTIGATE_KEYS, MULTIGATE_TLS_CLIENT_CA } = configuration
  if (MULTIGATE_TLS_CLIENT_CA !== '') return []
  const { MULTIGATE_ADMIN_HOST: adminHost, MULTIGATE_ADMIN_PORT } = configuration
  const warnings: string[] = []
  if (MULTIGATE_KEYS === '' && !isLoopback(MULTIGATE_HOST))
    warnings.push(`everyone who reaches ${MULTIGATE_HOST} can send requests; set MULTIGATE_KEYS to require keys`)
  if (MULTIGATE_ADMIN_PORT !== 0 && !isLoopback(adminHost))
    warnings.push(
      `everyone who reaches the administration port on ${adminHost} can unload models and record profiles: let only administrators and Prometheus reach it`,
    )
  return warnings
}

/** The areas that need no key. Throws an Error that names one that does not exist. */
export function openAreasOf({ MULTIGATE_OPEN }: Configuration): ReadonlySet<Area> {
  const named = commaList(MULTIGATE_OPEN)
  const wrong = named.find((name) => !openAreas.includes(name as Area))
  if (wrong !== undefined)
    throw new Error(`MULTIGATE_OPEN has ${JSON.stringify(wrong)}; it may have ${openAreas.join(', ')}`)
  return new Set(named as Area[])
}

/** The host names at which administration needs no key. Throws an Error that names one that is none. */
export function allowedHostsOf({
  MULTIGATE_HOST,
  MULTIGATE_ADMIN_HOST,
  MULTIGATE_ALLOWED_HOSTS,
}: Configuration): ReadonlySet<string> {
  const named = commaList(MULTIGATE_ALLOWED_HOSTS).map((name) => name.toLowerCase())
  const wrong = named.find((name) => !URL.canParse(`http://${name}`) || new URL(`http://${name}`).hostname !== name)
  if (wrong !== undefined)
    throw new Error(
      `MULTIGATE_ALLOWED_HOSTS has ${JSON.stringify(wrong)}; it may have host names, such as admin.example.com`,
    )
  return new Set([MULTIGATE_HOST.toLowerCase(), MULTIGATE_ADMIN_HOST.toLowerCase(), ...named])
}

/** Different addresses may have the same port. */
function sharesPort(configuration: Configuration): boolean {
  const { MULTIGATE_PORT, MULTIGATE_ADMIN_PORT, MULTIGATE_HOST, MULTIGATE_ADMIN_HOST } = configuration
  if (MULTIGATE_ADMIN_PORT === 0 || MULTIGATE_ADMIN_PORT !== MULTIGATE_PORT) return false
  const hosts = [MULTIGATE_HOST, MULTIGATE_ADMIN_HOST]
  return MULTIGATE_HOST === MULTIGATE_ADMIN_HOST || hosts.includes('0.0.0.0') || hosts.includes('::')
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true
  return isIP(host) === 4 && host.startsWith('127.')
}
