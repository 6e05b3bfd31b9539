import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { ShipPass } from './shipper.ts'

export interface ShipMetrics {
  registry: Registry
  bytes(bytes: number): void
  /** A pass has ended; undefined: the folder could not be read. */
  passed(pass: ShipPass | undefined): void
}

/** The metrics of `multigate log ship`. */
export function createShipMetrics(): ShipMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const passes = new Counter({
    name: 'multigate_log_ship_passes_total',
    help: 'Passes over the prediction log, by outcome: ok, incomplete (some file could not be shipped) or failed',
    labelNames: ['outcome'],
    registers,
  })
  for (const outcome of ['ok', 'incomplete', 'failed']) passes.inc({ outcome }, 0)
  const sent = new Counter({
    name: 'multigate_log_ship_sent_bytes_total',
    help: 'Bytes of files that were sent',
    registers,
  })
  const success = new Gauge({
    name: 'multigate_log_ship_last_success_timestamp_seconds',
    help: 'When all finished files of the prediction log last were in the store; 0 before the first time',
    registers,
  })
  const files = new Gauge({
    name: 'multigate_log_ship_files',
    help: 'Finished files in the folder: present in the store, or waiting',
    labelNames: ['state'],
    registers,
  })
  return {
    registry,
    bytes: (bytes) => sent.inc(bytes),
    passed(pass) {
      if (pass === undefined) {
        passes.inc({ outcome: 'failed' })
        return
      }
      const isWhole = pass.problems.length === 0 && pass.waiting === 0
      passes.inc({ outcome: isWhole ? 'ok' : 'incomplete' })
      if (isWhole) success.setToCurrentTime()
      files.set({ state: 'present' }, pass.present - pass.removed.length)
      files.set({ state: 'waiting' }, pass.waiting)
    },
  }
}
