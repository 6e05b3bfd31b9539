import { type Aggregator, Counter, Gauge, type Registry } from 'prom-client'
import type { LoadedModel } from '../../model/prediction/contract.ts'
import type { MetricsSources } from './sources.ts'

type Live = NonNullable<LoadedModel['live']>

/** The deltas of versions with live fields, read at each scrape. */
export function registerDeltaMetrics(registry: Registry, models: MetricsSources['models']): void {
  const labelNames = ['model', 'version'] as const
  const settings = (name: string, help: string, read: (live: Live) => number, aggregator?: Aggregator) => ({
    name,
    help,
    labelNames,
    registers: [registry],
    ...(aggregator && { aggregator }),
    collect(this: Counter | Gauge) {
      this.reset()
      for (const { name, version, model } of models())
        if (model.live) this.inc({ model: name, version }, read(model.live))
    },
  })
  // Of several processes, the one that is behind counts.
  new Gauge(
    settings(
      'multigate_deltas_applied',
      'Delta files 1 to this one are in effect',
      (live) => live.status().applied,
      'min',
    ),
  )
  new Gauge(
    settings(
      'multigate_overlay_rows',
      'Rows of live tables that deltas have replaced',
      (live) => live.status().rows,
      'max',
    ),
  )
  new Gauge(
    settings(
      'multigate_delta_refused',
      '1 while a delta file is refused',
      (live) => Number(live.status().refused !== null),
      'max',
    ),
  )
  new Gauge(
    settings(
      'multigate_delta_apply_seconds',
      'Seconds that the last change by deltas took, from reading files until every worker had it',
      (live) => live.counts().applySeconds,
      'max',
    ),
  )
  new Counter(
    settings('multigate_deltas_refused_total', 'Delta files that were refused', (live) => live.counts().refused),
  )
}
