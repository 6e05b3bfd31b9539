import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** Where compiled plans are kept, of the setting `MULTIGATE_CACHE`; undefined: nowhere. */
export function cacheFolder(configured: string): string | undefined {
  if (configured === 'off') return undefined
  if (configured !== '') return resolve(configured)
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'multigate', 'plans')
}
