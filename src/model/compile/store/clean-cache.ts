import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Plans that were not used for so long are removed, s. */
const keptSeconds = 7 * 24 * 3600

/** Removes plans of the cache that nobody has used lately, and what interrupted writers left. Never rejects. */
export async function cleanCache(cache: string, now: number): Promise<void> {
  for (const name of await readdir(cache).catch(() => [])) {
    const path = join(cache, name)
    const used = await stat(path).catch(() => undefined)
    const unfinished = /\.\d+\.[0-9a-f]{8}$/.test(name)
    const age = used === undefined ? 0 : (now - used.mtimeMs) / 1000
    if (/^[0-9a-f]{32}/.test(name) && age > (unfinished ? 3600 : keptSeconds))
      await rm(path, { recursive: true, force: true }).catch(() => undefined)
  }
}
