import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { SyncPass } from './synchroniser.ts'

export interface SyncMetrics {
  registry: Registry
  bytes(bytes: number): void
  /** A pass has ended; undefined: the index could not be read. */
  passed(pass: SyncPass | undefined): void
}

/** The metrics of `multigate sync`. */
export function createSyncMetrics(): SyncMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const passes = new Counter({
    name: 'multigate_sync_passes_total',
    help: 'Comparisons with the source, by outcome: ok, incomplete (some version could not be copied) or failed',
    labelNames: ['outcome'],
    registers,
  })
  for (const outcome of ['ok', 'incomplete', 'failed']) passes.inc({ outcome }, 0)
  const received = new Counter({
    name: 'multigate_sync_received_bytes_total',
    help: 'Bytes of files that arrived from the source',
    registers,
  })
  const success = new Gauge({
    name: 'multigate_sync_last_success_timestamp_seconds',
    help: 'When the folder last was a whole copy of the source; 0 before the first time',
    registers,
  })
  const versions = new Gauge({
    name: 'multigate_sync_versions',
    help: "Versions of the source's index: present in the folder, or missing",
    labelNames: ['state'],
    registers,
  })
  return {
    registry,
    bytes: (bytes) => received.inc(bytes),
    passed(pass) {
      if (pass === undefined) {
        passes.inc({ outcome: 'failed' })
        return
      }
      const isWhole = pass.problems.length === 0
      passes.inc({ outcome: isWhole ? 'ok' : 'incomplete' })
      if (isWhole) success.setToCurrentTime()
      versions.set({ state: 'present' }, pass.present)
      versions.set({ state: 'missing' }, pass.listed - pass.present)
    },
  }
}
