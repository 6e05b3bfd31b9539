import { Counter, Gauge, type Registry } from 'prom-client'
import { type DenialReason, denialReasons } from '../security/guard.ts'
import type { Key } from '../security/keyring.ts'

/** Counters of a service that asks for keys. Labels are ids of the file of keys, never what a client presents. */
export interface AccessMetrics {
  denied(reason: DenialReason): void
  answered(key: Key, rows: number): void
}

export function registerAccessMetrics(registry: Registry, keys: () => readonly Key[]): AccessMetrics {
  const registers = [registry]
  const denied = new Counter({
    name: 'multigate_denied_total',
    help: 'Requests refused for their key: it is missing, unknown or expired, lacks the scope, or has used up a limit',
    labelNames: ['reason'],
    registers,
  })
  for (const reason of denialReasons) denied.inc({ reason }, 0)
  const requests = new Counter({
    name: 'multigate_key_requests_total',
    help: 'Predictions by key',
    labelNames: ['key'],
    registers,
  })
  const rows = new Counter({ name: 'multigate_key_rows_total', help: 'Rows by key', labelNames: ['key'], registers })
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
  return {
    denied: (reason) => denied.inc({ reason }),
    answered(key, count) {
      requests.inc({ key: key.id })
      rows.inc({ key: key.id }, count)
    },
  }
}
