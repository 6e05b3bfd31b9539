import { valueFor } from '../../base/maps.ts'
import type { Area } from '../security/areas.ts'
import type { Denial } from '../security/guard.ts'

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

/** Predictions that were answered, and their rows. */
interface Answered {
  requests: number
  rows: number
}

/** Counts by key, each created with its first request; without keys there are none. */
export class KeyCountsMap {
  readonly #counts = new Map<string, { counts: KeyCounts; answered: Answered }>()
  readonly #denials: Record<string, number> = {}
  readonly #reasons = new Map<Denial['reason'], number>()

  /** A prediction has ended; `rows`: those that were accepted. */
  ended(client: string, outcome: string, rows: number): void {
    const { counts, answered } = valueFor(this.#counts, client, () => ({
      counts: { client, requests: 0, failed: 0, rows: 0 },
      answered: { requests: 0, rows: 0 },
    }))
    counts.requests++
    counts.rows += rows
    if (outcome === 'ok') {
      answered.requests++
      answered.rows += rows
    } else if (outcome !== 'cancelled') counts.failed++
  }

  /** A request to an area was refused for its key. */
  denied({ client, code, reason }: Pick<Denial, 'client' | 'code' | 'reason'>, area: Area): void {
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1)
    if (area !== 'predict') return
    const outcome = code.toLowerCase()
    this.#denials[outcome] = (this.#denials[outcome] ?? 0) + 1
    if (client !== undefined) this.ended(client, outcome, 0)
  }

  list(): KeyCounts[] {
    return [...this.#counts.values()].map(({ counts }) => ({ ...counts }))
  }

  /** Keys that got predictions. */
  answered(): [client: string, Readonly<Answered>][] {
    return [...this.#counts]
      .filter(([, { answered }]) => answered.requests > 0)
      .map(([id, { answered }]) => [id, answered])
  }

  /** Predictions that were refused for their keys, by outcome; the counts of requests don't have them. */
  denials(): Record<string, number> {
    return { ...this.#denials }
  }

  /** Requests that were refused for their key, whatever they asked. */
  deniedFor(reason: Denial['reason']): number {
    return this.#reasons.get(reason) ?? 0
  }
}
