import { existsSync, rmdirSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A memory cgroup, which bounds what a server may take as a container does. */
export interface Container {
  /** A command that starts another one inside. */
  wrapper: string[]
  /** Memory in use now, with the system's buffers of sockets, bytes. */
  usage(): Promise<number>
  /** Removes it, once its processes have ended. */
  remove(): void
}

const root = '/sys/fs/cgroup'

/** Makes a container of `bytes` bytes without swap, by cgroup v2 or v1. Rejects where that is not permitted. */
export async function createContainer(name: string, bytes: number): Promise<Container> {
  const isUnified = existsSync(join(root, 'cgroup.controllers'))
  const folder = join(root, isUnified ? '' : 'memory', name)
  if (isUnified) await writeFile(join(root, 'cgroup.subtree_control'), '+memory').catch(() => undefined)
  await mkdir(folder, { recursive: true })
  if (isUnified) {
    await writeFile(join(folder, 'memory.max'), String(bytes))
    await writeFile(join(folder, 'memory.swap.max'), '0').catch(() => undefined)
  } else await writeFile(join(folder, 'memory.limit_in_bytes'), String(bytes))
  const current = join(folder, isUnified ? 'memory.current' : 'memory.usage_in_bytes')
  return {
    wrapper: ['sh', '-c', `echo $$ > ${folder}/cgroup.procs && exec "$0" "$@"`],
    usage: async () => Number(await readFile(current, 'utf8')),
    remove: () => rmdirSync(folder),
  }
}
