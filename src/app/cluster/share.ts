import { pendingBytesOf } from '../../base/settings.ts'
import { availableCores } from '../../model/engines/pool/cores.ts'
import type { Configuration } from '../../schemas/configuration.ts'

/** The configuration of each process: its share of what is meant for all of them together. */
export function shareOf(configuration: Configuration, cores = availableCores()): Configuration {
  const processes = configuration.MULTIGATE_PROCESSES
  const pendingBytes = pendingBytesOf(configuration)
  return {
    ...configuration,
    MULTIGATE_WORKERS: configuration.MULTIGATE_WORKERS || Math.max(1, Math.floor(cores / processes)),
    MULTIGATE_CANDIDATE_CACHE_BYTES: Math.floor(configuration.MULTIGATE_CANDIDATE_CACHE_BYTES / processes),
    MULTIGATE_RESIDENT_BYTES: Math.ceil(configuration.MULTIGATE_RESIDENT_BYTES / processes),
    // One body at least must fit, where it did.
    MULTIGATE_MAX_PENDING_BYTES: Math.max(
      Math.ceil(pendingBytes / processes),
      Math.min(pendingBytes, configuration.MULTIGATE_MAX_BODY_BYTES),
    ),
    MULTIGATE_MAX_CONNECTIONS: Math.ceil(configuration.MULTIGATE_MAX_CONNECTIONS / processes),
  }
}
