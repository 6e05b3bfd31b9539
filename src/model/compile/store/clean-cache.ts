import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** File beside plans of one structure with what their graphs cost. */
export function costsFile(structure: string): string {
  return `costs-${structure.slice(0, 32)}.json`
}

/** Unused plans are removed after this time, s. */
const keptSeconds = 7 * 24 * 3600
/** A plan that was loaded so recently may be in use by a server that is starting, s. */
const recentSeconds = 60

interface Stored {
  path: string
  /** Since it was written or loaded, s. */
  age: number
}

/**
 * Removes unused plans and leftovers of interrupted writers; where plans take more than `most` bytes, also those that were loaded
 * longest ago. 0 or undefined: no limit. Never rejects.
 */
export async function cleanCache(cache: string, now: number, most = 0): Promise<void> {
  const plans: Stored[] = []
  for (const name of await readdir(cache).catch(() => [])) {
    const path = join(cache, name)
    if (/^costs-[0-9a-f]{32}\.json$/.test(name)) await removeOld(path, now)
    if (!/^[0-9a-f]{32}/.test(name)) continue
    const used = await stat(path).catch(() => undefined)
    const unfinished = /\.\d+\.[0-9a-f]{8}$/.test(name)
    const age = used === undefined ? 0 : (now - used.mtimeMs) / 1000
    if (age > (unfinished ? 3600 : keptSeconds)) await remove(path)
    else if (!unfinished) plans.push({ path, age })
  }
  if (most === 0) return
  let bytes = 0
  for (const { path, age } of plans.sort((a, b) => a.age - b.age)) {
    bytes += await sizeOf(path, true)
    if (bytes > most && age > recentSeconds) await remove(path)
  }
}

/** Costs that would be measured again in any case. */
async function removeOld(path: string, now: number): Promise<void> {
  const written = await stat(path).catch(() => undefined)
  if (written !== undefined && (now - written.mtimeMs) / 1000 > keptSeconds) await remove(path)
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => undefined)
}

/** Of the files in a folder, bytes; `recursive`: and in those below it, as a catalogue's. */
export async function sizeOf(folder: string, recursive = false): Promise<number> {
  const names = await readdir(folder, { recursive }).catch(() => [])
  const sizes = names.map((name) => stat(join(folder, name)).catch(() => undefined))
  return (await Promise.all(sizes)).reduce((sum, found) => sum + (found?.size ?? 0), 0)
}
