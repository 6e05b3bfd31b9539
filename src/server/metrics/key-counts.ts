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
