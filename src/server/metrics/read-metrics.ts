import type { Aggregator, Metric, MetricValueWithName, Registry } from 'prom-client'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'

/** The value of one series. */
export type Series = readonly [labels: Record<string, string>, value: number]

/** The value of a metric without labels, or its series. */
type Values = number | readonly Series[]

/** `aggregator`: how the values of several processes go together; default: they are added. */
type Add = (name: string, help: string, read: () => Values | Promise<Values>, aggregator?: Aggregator) => void

/** Adds metrics whose values are read at each scrape: a series that is not read any more is gone. */
export function createReadMetrics(registry: Registry): { gauge: Add; counter: Add } {
  const adder =
    (type: string): Add =>
    (name, help, read, aggregator = 'sum') =>
      registerRead(registry, { name, help, type, aggregator }, async () => {
        const values = await read()
        const series: readonly Series[] = typeof values === 'number' ? [[{}, values]] : values
        return series.map(([labels, value]) => ({ labels, value }))
      })
  return { gauge: adder('gauge'), counter: adder('counter') }
}

type Value = Omit<MetricValueWithName<string>, 'metricName'> & { metricName?: string }

/** Adds all that a registry asks of a metric; prom-client's own look each series up by its labels (1 µs). */
export function registerRead(
  registry: Registry,
  about: { name: string; help: string; type: string; aggregator: Aggregator },
  read: () => Promise<readonly Value[]>,
): void {
  const metric = { ...about, get: async () => ({ ...about, values: await read() }) }
  registry.registerMetric(metric as unknown as Metric)
}

/** Versions that are loaded. */
export type Versions = () => { name: string; version: string; model: LoadedModel }[]

/** A series per version; none of those of which there is nothing to read. */
export const seriesOf = (versions: Versions) => (read: (model: LoadedModel) => number | undefined) => (): Series[] =>
  versions().flatMap(({ name, version, model }) => {
    const value = read(model)
    return value === undefined ? [] : [[{ model: name, version }, value]]
  })
