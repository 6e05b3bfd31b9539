/** What one key's predictions came to since the process started. */
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

  /** `outcome`: as `Metrics.request` takes it. */
  ended(client: string, outcome: string, rows: number): void {
    let counts = this.#counts.get(client)
    if (counts === undefined) {
      counts = { client, requests: 0, failed: 0, rows: 0 }
      this.#counts.set(client, counts)
    }
    counts.requests++
    counts.rows += rows
    if (outcome !== 'ok' && outcome !== 'cancelled') counts.failed++
  }

  list(): KeyCounts[] {
    return [...this.#counts.values()].map((counts) => ({ ...counts }))
  }
}
