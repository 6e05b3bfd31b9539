import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { send, startProcess } from '../support/process.ts'

/*
 * Metrics that rules, alerts, dashboards and autoscalers in deploy/ name.
 */

const root = join(import.meta.dirname, '../../..')

/** Metrics that a server has only where a feature is used. */
const optional = [
  /^multigate_log_(?!lines_dropped_total)/, // MULTIGATE_PREDICTION_LOG
  /^multigate_processes/, // MULTIGATE_PROCESSES
  /^multigate_graph_reopen_seconds_total$/, // MULTIGATE_RESIDENT_BYTES
  /^multigate_tls_/, // MULTIGATE_TLS_CERT
  /^multigate_(key_expiry_|reload_failures_total)/, // MULTIGATE_KEYS, and files of TLS
  /^multigate_(table|entity|delta)_/, // feature tables and deltas
]

/** Metrics with a series per fault, or per field or task once it has had enough rows. */
const later = /^multigate_(version_failed|version_incompatible|unknown_values_total|drift_psi|prediction_mean)$/

/** Names of other programs: `multigate sync`, and a back end of the load balancers. */
const others = /^multigate_(sync_last_success_timestamp_seconds|by_catalogue)$/

t.test('a fresh server has every metric that deploy/ names', async (t) => {
  const used = new Set<string>()
  for (const entry of readdirSync(join(root, 'deploy'), { recursive: true, withFileTypes: true }))
    if (entry.isFile())
      for (const [name] of readFileSync(join(entry.parentPath, entry.name), 'utf8').matchAll(/\bmultigate_\w+/g))
        used.add(name)
  const exceptions = [...optional, later, others]
  const { port } = await startProcess(t, {})
  const { text } = await send(port, '/metrics')
  const present = new Set(Array.from(text.matchAll(/^\w+(?=[{ ])/gm), ([name]) => name))
  const absent = [...used].filter((name) => !present.has(name) && !exceptions.some((names) => names.test(name)))
  t.same(absent, [])
  t.ok(used.has('multigate_requests_total') && used.has('multigate_saturation'))
})
