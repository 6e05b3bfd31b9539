import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { makeFolder } from '../model/base/make-folder.ts'
import { isAlive } from '../model/base/process-alive.ts'
import { syncFolder } from './records.ts'

/** Age from which on an unfinished copy belongs to nobody, ms. */
const abandoned = 24 * 3600 * 1000

/** The names of this process. */
const ours = new Set<string>()

/**
 * An empty folder for unfinished copies, on the disk of `folder`. Removes those of processes that ended before
 * they could.
 */
export async function openWorkFolder(folder: string): Promise<string> {
  const root = join(folder, syncFolder, 'unfinished')
  await makeFolder(root)
  for (const name of await readdir(root)) {
    const path = join(root, name)
    if (isOfDeadProcess(name) || (await ageOf(path)) > abandoned) await rm(path, { recursive: true, force: true })
  }
  const name = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`
  ours.add(name)
  await mkdir(join(root, name))
  return join(root, name)
}

/** Whether a process of this machine or container made it that no longer runs; it may have had this process's number. */
function isOfDeadProcess(name: string): boolean {
  const [, host, id] = /^(.*)-(\d+)-\w+$/.exec(name) ?? []
  if (host !== hostname()) return false
  if (Number(id) === process.pid) return !ours.has(name)
  return !isAlive(Number(id))
}

async function ageOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined)
  return found === undefined ? 0 : Date.now() - found.mtimeMs
}
