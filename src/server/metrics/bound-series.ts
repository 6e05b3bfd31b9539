import type { MetricValueWithName, Registry } from 'prom-client'
import { createReadMetrics, registerRead } from './read-metrics.ts'

/** A series of a counter, held by the code that counts. */
export interface TallySeries {
  add(count: number): void
}

export interface Tally {
  /**
   * A series by its labels; requested once and kept. `present`: it is exposed before anything is counted, since a rate
   * needs two values of a counter.
   */
  series(labels: Record<string, string>, present?: boolean): TallySeries
  /** Visits the total of every series. */
  each(visit: (labels: Record<string, string>, total: number) => void): void
  /** Removes a version's series. */
  forget(model: string, version: string): void
}

/**
 * A counter for what is counted with every request: to add is to add to a number, where prom-client looks the series up
 * by its labels (1 µs).
 */
export function createTally(name: string, help: string, registry: Registry): Tally {
  let open: { labels: Record<string, string>; present: boolean; total: number; add(count: number): void }[] = []
  createReadMetrics(registry).counter(name, help, () =>
    open.flatMap(({ labels, present, total }) => (present || total > 0 ? [[labels, total] as const] : [])),
  )
  return {
    series(labels, present = false) {
      const known = open.find((held) => Object.keys(labels).every((name) => held.labels[name] === labels[name]))
      if (known !== undefined) return known
      const held = {
        labels,
        present,
        total: 0,
        add(count: number) {
          held.total += count
        },
      }
      open.push(held)
      return held
    },
    each(visit) {
      for (const { labels, total } of open) visit(labels, total)
    },
    forget(model, version) {
      open = open.filter(({ labels }) => labels.model !== model || labels.version !== version)
    },
  }
}

/** A series of a histogram, held by the code that observes. */
export interface HistogramSeries {
  observe(value: number): void
}

export interface HistogramTally {
  /** A version's series; requested once and kept. */
  series(labels: VersionLabels): HistogramSeries
  /** Visits every series: its counts by bucket, that of the largest values last, and the sum of its values. */
  each(visit: (labels: VersionLabels, counts: readonly number[], sum: number) => void): void
  /** Removes a version's series. */
  forget(model: string, version: string): void
}

type VersionLabels = { model: string; version: string }

interface Held extends HistogramSeries {
  labels: VersionLabels
  /** By bucket, that of the largest values last; not summed up. */
  counts: number[]
  sum: number
}

/**
 * A histogram for what is observed with every request: to observe is to add to two numbers, where prom-client checks
 * the labels, and looks their series up, each time (1 µs). `buckets` are upper bounds in rising order.
 */
export function createHistogramTally(
  name: string,
  help: string,
  buckets: readonly number[],
  registry: Registry,
): HistogramTally {
  let open: Held[] = []

  function hold(labels: VersionLabels): Held {
    const counts = new Array<number>(buckets.length + 1).fill(0)
    const held: Held = {
      labels,
      counts,
      sum: 0,
      observe(value) {
        let bucket = 0
        while (bucket < buckets.length && value > buckets[bucket]!) bucket++
        counts[bucket]!++
        held.sum += value
      },
    }
    open.push(held)
    return held
  }

  function valuesOf({ labels, counts, sum }: Held): MetricValueWithName<string>[] {
    let count = 0
    const values: MetricValueWithName<string>[] = counts.map((inBucket, i) => {
      count += inBucket
      return { labels: { le: buckets[i] ?? '+Inf', ...labels }, value: count, metricName: `${name}_bucket` }
    })
    values.push(
      { labels, value: sum, metricName: `${name}_sum` },
      { labels, value: count, metricName: `${name}_count` },
    )
    return values
  }

  registerRead(registry, { name, help, type: 'histogram', aggregator: 'sum' }, async () => open.flatMap(valuesOf))

  return {
    series: (labels) =>
      open.find((held) => held.labels.model === labels.model && held.labels.version === labels.version) ?? hold(labels),
    each(visit) {
      for (const { labels, counts, sum } of open) visit(labels, counts, sum)
    },
    forget(model, version) {
      open = open.filter(({ labels }) => labels.model !== model || labels.version !== version)
    },
  }
}

/** Upper bounds in seconds: 0.25 ms … 2.5 s, beyond the default deadline. */
export const durations = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
/** Upper bounds of numbers of rows and requests. */
export const powersOfTwo = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
