import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Unused plans are removed after this time, s. */
const keptSeconds = 7 * 24 * 3600

/** Removes unused plans and leftovers of interrupted writers. Never rejects. */
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
