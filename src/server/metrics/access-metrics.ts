import { Counter, Gauge, type Registry } from 'prom-client'
import { type Denial, type DenialReason, denialReasons } from '../security/guard.ts'
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

/** Counts of one key's predictions since the process started. */
export interface KeyCounts {
  /** The id of the key, as the file of keys has it. */
  client: string
  requests: number
  /** Requests that were answered with an error, refused ones among them. */
  failed: number
  /** Rows that were accepted. */
  rows: number
}

/** Counts by key, each created with its first request; without keys there are none. */
export class KeyCountsMap {
  readonly #counts = new Map<string, KeyCounts>()
  readonly #denials: Record<string, number> = {}

  /** `outcome`: as `Metrics.request` takes it. */
  ended(client: string, outcome: string, rows: number): void {
    const counts = this.#of(client)
    counts.requests++
    counts.rows += rows
    if (outcome !== 'ok' && outcome !== 'cancelled') counts.failed++
  }

  /** A prediction was refused for its key. */
  denied({ client, code }: Pick<Denial, 'client' | 'code'>): void {
    const outcome = code.toLowerCase()
    this.#denials[outcome] = (this.#denials[outcome] ?? 0) + 1
    if (client !== undefined) this.ended(client, outcome, 0)
  }

  list(): KeyCounts[] {
    return [...this.#counts.values()].map((counts) => ({ ...counts }))
  }

  /** Predictions that were refused for their keys, by outcome; the counts of requests don't have them. */
  denials(): Record<string, number> {
    return { ...this.#denials }
  }

  #of(client: string): KeyCounts {
    let counts = this.#counts.get(client)
    if (counts === undefined) {
      counts = { client, requests: 0, failed: 0, rows: 0 }
      this.#counts.set(client, counts)
    }
    return counts
  }
}
