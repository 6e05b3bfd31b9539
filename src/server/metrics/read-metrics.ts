import { type Aggregator, Counter, Gauge, type Registry } from 'prom-client'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'

/** The value of one series. */
export type Series = readonly [labels: Record<string, string>, value: number]

/** The value of a metric without labels, or its series. */
type Values = number | readonly Series[]

interface ReadOptions {
  labels?: readonly string[]
  /** How the values of several processes go together; default: they are added. */
  aggregator?: Aggregator
}

type Add = (name: string, help: string, read: () => Values | Promise<Values>, options?: ReadOptions) => void

/** Adds metrics whose values are read at each scrape: a series that is not read any more is gone. */
export function createReadMetrics(registry: Registry): { gauge: Add; counter: Add } {
  const settings = (...[name, help, read, { labels = [], aggregator } = {}]: Parameters<Add>) => ({
    name,
    help,
    labelNames: labels,
    registers: [registry],
    ...(aggregator && { aggregator }),
    async collect(this: Counter | Gauge) {
      const values = await read()
      this.reset()
      const series: readonly Series[] = typeof values === 'number' ? [[{}, values]] : values
      for (const [labels, value] of series) this.inc(labels, value)
    },
  })
  return {
    gauge: (...metric) => void new Gauge(settings(...metric)),
    counter: (...metric) => void new Counter(settings(...metric)),
  }
}

/** Adds gauges with a series per version. */
export function createVersionGauges(registry: Registry, versions: Versions) {
  const { gauge } = createReadMetrics(registry)
  return (
    name: string,
    help: string,
    read: (model: LoadedModel) => number | undefined,
    aggregator: Aggregator = 'sum',
  ) => gauge(name, help, seriesOf(versions, read), { labels: ofVersion, aggregator })
}

/** Versions that are loaded. */
export type Versions = () => { name: string; version: string; model: LoadedModel }[]

/** A series per version; none of those of which there is nothing to read. */
export const seriesOf = (versions: Versions, read: (model: LoadedModel) => number | undefined) => (): Series[] =>
  versions().flatMap(({ name, version, model }) => {
    const value = read(model)
    return value === undefined ? [] : [[{ model: name, version }, value]]
  })

/** The labels of a series that is one version's. */
export const ofVersion = ['model', 'version'] as const
