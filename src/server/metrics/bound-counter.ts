import { Counter, type Registry } from 'prom-client'
import { removeSeries } from './remove-series.ts'

/** A series of a counter, held by the code that counts. */
export interface TallySeries {
  add(count: number): void
}

export interface Tally {
  /** A series by its labels; requested once and kept. `present`: it is exposed before anything is counted. */
  series(labels: Record<string, string>, present?: boolean): TallySeries
  /** Visits the total of every series. */
  each(visit: (labels: Record<string, string>, total: number) => void): void
  /** Removes a version's series. */
  forget(model: string, version: string): Promise<void>
}

/**
 * A counter for what is counted with every request: to add is to add to a number, and prom-client, which looks a series up by
 * its labels (1 µs), receives the sum at each scrape.
 */
export function createTally(
  options: { name: string; help: string; labelNames: readonly string[] },
  registry: Registry,
): Tally {
  let open: { labels: Record<string, string>; pending: number; scraped: number }[] = []
  const counter = new Counter({
    ...options,
    registers: [registry],
    collect() {
      for (const series of open) {
        if (series.pending === 0) continue
        this.inc(series.labels, series.pending)
        series.scraped += series.pending
        series.pending = 0
      }
    },
  })
  return {
    series(labels, present = false) {
      // A rate needs two values of a counter.
      if (present) counter.inc(labels, 0)
      const held = { labels, pending: 0, scraped: 0 }
      open.push(held)
      return {
        add(count) {
          held.pending += count
        },
      }
    },
    each(visit) {
      for (const { labels, pending, scraped } of open) visit(labels, scraped + pending)
    },
    forget(model, version) {
      open = open.filter(({ labels }) => labels.model !== model || labels.version !== version)
      return removeSeries(counter, model, version)
    },
  }
}
