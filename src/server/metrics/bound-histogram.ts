import type { Metric, MetricValueWithName, Registry } from 'prom-client'

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
 * A histogram for what is observed with every request: to observe is to add to two numbers, where prom-client checks the
 * labels, and looks their series up, each time (1 µs). `buckets` are upper bounds in rising order.
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
