import { memoryLimit } from '../model/base/memory-limit.ts'
import type { Configuration } from '../schemas/configuration.ts'

/** Of the memory limit, what clients may hold: the rest is for models, their workers, and garbage that is not yet collected. */
const share = 1 / 8

/** Bounds of what follows from the memory limit, bytes. */
const least = 16 * 2 ** 20
const most = 256 * 2 ** 20

/** What clients may make a service hold, bytes: as configured, or by the container's memory limit, else the machine's memory. */
export function pendingBytesOf(
  { MULTIGATE_MAX_PENDING_BYTES: configured }: Pick<Configuration, 'MULTIGATE_MAX_PENDING_BYTES'>,
  memory: number = memoryLimit(),
): number {
  return configured || Math.max(least, Math.min(most, Math.floor(memory * share)))
}
