import { totalmem } from 'node:os'

/** The container's memory limit, by cgroup v1 or v2, or the machine's memory; bytes. */
export function memoryLimit(): number {
  return Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem())
}
