import { platform, setPriority } from 'node:os'

/**
 * Sets the priority of the calling thread on Linux, where threads have priorities of their own, if that is permitted; from −20
 * to 19: the lower, the sooner.
 */
export function setThreadPriority(priority: number): void {
  try {
    if (platform() === 'linux') setPriority(0, priority)
  } catch {
    // It keeps its priority.
  }
}
