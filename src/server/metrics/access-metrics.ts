import { Counter, Gauge, type Registry } from 'prom-client'
import { denialReasons } from '../security/guard.ts'
import type { Key } from '../security/keyring.ts'
import type { KeyCountsMap } from './key-counts.ts'

/**
 * Exposes the counts of a service that asks for keys. Labels are ids of the file of keys, never what a client presents.
 */
export function registerAccessMetrics(registry: Registry, counts: KeyCountsMap, keys: () => readonly Key[]): void {
  const registers = [registry]
  new Counter({
    name: 'multigate_denied_total',
    help: 'Requests refused for their key: it is missing, unknown or expired, lacks the scope, or has used up a limit',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset()
      for (const reason of denialReasons) this.inc({ reason }, counts.deniedFor(reason))
    },
  })
  const ofKeys = (name: string, help: string, what: 'requests' | 'rows') =>
    new Counter({
      name,
      help,
      labelNames: ['key'],
      registers,
      collect() {
        this.reset()
        for (const [key, answered] of counts.answered()) this.inc({ key }, answered[what])
      },
    })
  ofKeys('multigate_key_requests_total', 'Predictions by key', 'requests')
  ofKeys('multigate_key_rows_total', 'Rows by key', 'rows')
  new Gauge({
    name: 'multigate_key_expiry_timestamp_seconds',
    help: 'When the key expires, in seconds since 1970; only keys that do',
    labelNames: ['key'],
    registers,
    aggregator: 'min',
    collect() {
      this.reset()
      for (const { id, expires } of keys()) if (Number.isFinite(expires)) this.set({ key: id }, expires / 1000)
    },
  })
}
