import type { Counter, Gauge, Histogram } from 'prom-client'

/** Removes the series of a version from a metric. */
export async function removeSeries(metric: Counter | Gauge | Histogram, model: string, version: string): Promise<void> {
  const { values } = await metric.get()
  for (const { labels } of values) {
    const { le: _, ...series } = labels as Record<string, string>
    if (series.model === model && series.version === version) metric.remove(series)
  }
}
