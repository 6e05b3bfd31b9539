import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** Available processor cores: the container's CPU quota counts, not the host's cores. At least 1. */
export function availableCores(readText = (path: string) => readFileSync(path, 'utf8')): number {
  const quota = cgroupQuota(readText)
  return Math.max(1, Math.floor(Math.min(availableParallelism(), quota)))
}

/** CPU quota in cores, of cgroup v2, else v1; infinite where there is none. */
function cgroupQuota(readText: (path: string) => string): number {
  try {
    const [quota, period] = readText('/sys/fs/cgroup/cpu.max').trim().split(' ').map(Number)
    if (quota && period) return Math.max(1, quota / period)
  } catch {
    // Not cgroup v2.
  }
  try {
    const quota = Number(readText('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'))
    const period = Number(readText('/sys/fs/cgroup/cpu/cpu.cfs_period_us'))
    if (quota > 0 && period > 0) return Math.max(1, quota / period)
  } catch {
    // No cgroup at all.
  }
  return Number.POSITIVE_INFINITY
}
