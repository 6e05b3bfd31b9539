import type { Registry } from 'prom-client'
import { denialReasons } from '../security/guard.ts'
import type { Key } from '../security/keyring.ts'
import type { KeyCountsMap } from './key-counts.ts'
import { createReadMetrics } from './read-metrics.ts'

/**
 * Exposes the counts of a service that asks for keys. Labels are ids of the file of keys, never what a client presents.
 */
export function registerAccessMetrics(registry: Registry, counts: KeyCountsMap, keys: () => readonly Key[]): void {
  const { gauge, counter } = createReadMetrics(registry)
  counter(
    'multigate_denied_total',
    'Requests refused for their key: it is missing, unknown or expired, lacks the scope, or has used up a limit',
    () => denialReasons.map((reason) => [{ reason }, counts.deniedFor(reason)]),
  )
  const answered = (what: 'requests' | 'rows') => () =>
    counts.answered().map(([key, answered]) => [{ key }, answered[what]] as const)
  counter('multigate_key_requests_total', 'Predictions by key', answered('requests'))
  counter('multigate_key_rows_total', 'Rows by key', answered('rows'))
  gauge(
    'multigate_key_expiry_timestamp_seconds',
    'When the key expires, in seconds since 1970; only keys that do',
    () =>
      keys().flatMap(({ id, expires }) => (Number.isFinite(expires) ? [[{ key: id }, expires / 1000] as const] : [])),
    'min',
  )
}
