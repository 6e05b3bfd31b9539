import { randomUUID } from 'node:crypto'
import { lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAlive } from './process.ts'

/* Folders whose names say which process made them, so that a later one removes what a killed one has left. */

/** The names of this process. */
const ours = new Set<string>()

/** Creates a folder of this process in `root`, whose name begins with `prefix`; `mode`: its permissions. */
export async function makeProcessFolder(root: string, prefix = '', mode?: number): Promise<string> {
  const name = `${prefix}${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`
  ours.add(name)
  await mkdir(join(root, name), { ...(mode && { mode }) })
  return join(root, name)
}

/**
 * Whether a process of this machine or container made it that no longer runs; it may have had this process's number.
 */
export function isOfDeadProcess(name: string, prefix = ''): boolean {
  const [, host, id] = /^(.*)-(\d+)-\w+$/.exec(name) ?? []
  if (host !== `${prefix}${hostname()}`) return false
  if (Number(id) === process.pid) return !ours.has(name)
  return !isAlive(Number(id))
}

/**
 * Creates `multigate-<purpose>-…` among the system's temporary files, for its user alone. Removes those of the same
 * purpose and user whose processes ended before they could. For the main thread: threads don't know each other's.
 */
export async function makeTemporaryFolder(purpose: string): Promise<string> {
  const [root, prefix] = [tmpdir(), `multigate-${purpose}-`]
  for (const name of await readdir(root).catch(() => [])) {
    if (!isOfDeadProcess(name, prefix)) continue
    const left = join(root, name)
    const found = await lstat(left).catch(() => undefined)
    // A folder that can't be removed does no harm.
    const isOwn = found !== undefined && found.uid === (process.getuid?.() ?? found.uid)
    if (isOwn) await rm(left, { recursive: true, force: true }).catch(() => undefined)
  }
  return makeProcessFolder(root, prefix, 0o700)
}
