import { Counter, type Gauge, type Histogram, type Metric, type MetricValueWithName, type Registry } from 'prom-client'

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
 * A counter for what is counted with every request: to add is to add to a number, and prom-client, which looks a series
 * up by its labels (1 µs), receives the sum at each scrape.
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
  { name, help, buckets }: { name: string; help: string; buckets: readonly number[] },
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
    // As with any metric, a series begins with what is first observed.
    return count === 0 ? [] : values
  }

  const metric = {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    async get() {
      return { name, help, type: 'histogram', aggregator: 'sum', values: open.flatMap(valuesOf) }
    },
    reset() {
      for (const held of open) {
        held.counts.fill(0)
        held.sum = 0
      }
    },
  }
  // All that a registry asks of a metric.
  registry.registerMetric(metric as unknown as Metric)

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

/** Removes the series of a version from a metric. */
export async function removeSeries(metric: Counter | Gauge | Histogram, model: string, version: string): Promise<void> {
  const { values } = await metric.get()
  for (const { labels } of values) {
    const { le: _, ...series } = labels as Record<string, string>
    if (series.model === model && series.version === version) metric.remove(series)
  }
}

/** Upper bounds in seconds: 0.25 ms … 2.5 s, beyond the default deadline. */
export const durations = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
/** Upper bounds of numbers of rows and requests. */
export const powersOfTwo = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
