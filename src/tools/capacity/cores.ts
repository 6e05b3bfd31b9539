import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableCores } from '../../model/engines/pool/cores.ts'

/** The cores of the measured server, and of this process, which generates the load. */
export interface Placement {
  serverCores: number
  /** Starts the server on its own cores; empty where both share all cores. */
  wrapper: readonly string[]
}

/**
 * Keeps the last core for the load generator and gives the others to the server, if there are at least `fewest` cores
 * and the system has `taskset`; otherwise both share all cores.
 */
export function placeOnCores(fewest: number): Placement {
  const shared = { serverCores: availableCores(), wrapper: [] }
  const cores = allowedCores()
  // With a quota, cores of its own would still share it.
  if (cores.length < fewest || availableCores() < cores.length) return shared
  const own = cores.at(-1)!
  const pinned = spawnSync('taskset', ['-acp', String(own), String(process.pid)], { stdio: 'ignore' })
  if (pinned.status !== 0) return shared
  return { serverCores: cores.length - 1, wrapper: ['taskset', '-c', cores.slice(0, -1).join(',')] }
}

/** Cores that this process may use, as Linux lists them; found once, before it is restricted to one. Elsewhere none. */
let allowed: number[] | undefined
function allowedCores(): number[] {
  allowed ??= parseCores(readStatus())
  return allowed
}

function readStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'latin1')
  } catch {
    return ''
  }
}

/** `Cpus_allowed_list:	0-2,5` → [0, 1, 2, 5]. */
export function parseCores(status: string): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1]
  if (list === undefined) return []
  return list.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })
}
