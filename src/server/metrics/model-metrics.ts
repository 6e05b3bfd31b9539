import { type Aggregator, Gauge, type Registry } from 'prom-client'
import type { LoadedModel } from '../../model/prediction/contract.ts'
import type { MetricsSources } from './sources.ts'

/** The state of every served version, read at each scrape: queue, drift, engine. */
export function registerModelMetrics(registry: Registry, models: MetricsSources['models']): void {
  const labelNames = ['model', 'version'] as const
  const registers = [registry]
  const live = (name: string, help: string, read: (model: LoadedModel) => number, aggregator: Aggregator = 'sum') =>
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      aggregator,
      collect() {
        this.reset()
        for (const entry of models()) this.set({ model: entry.name, version: entry.version }, read(entry.model))
      },
    })
  live('multigate_queue_rows', 'Rows in the queue', (model) => model.stats().queuedRows)
  live('multigate_in_flight_batches', 'Engine calls in progress', (model) => model.stats().inFlightBatches)
  live(
    'multigate_predicted_wait_seconds',
    'Predicted wait of a request that arrives now',
    (model) => model.stats().predictedWaitSeconds,
    'max',
  )
  new Gauge({
    name: 'multigate_drift_psi',
    help: 'Population stability index of a field or task against the test rows: 0.1 is a moderate change, 0.25 a major one',
    labelNames: [...labelNames, 'feature', 'task'],
    registers,
    aggregator: 'average',
    collect() {
      this.reset()
      for (const { name, version, model } of models()) {
        for (const drift of model.drift()) {
          const labels = { feature: '', task: '', [drift.kind]: drift.name }
          this.set({ model: name, version, ...labels }, drift.psi)
        }
      }
    },
  })
  new Gauge({
    name: 'multigate_model_info',
    help: 'Served versions; always 1',
    labelNames: [...labelNames, 'engine', 'precision', 'architecture'],
    registers,
    aggregator: 'max',
    collect() {
      this.reset()
      for (const { name, version, model } of models()) {
        const architecture = model.manifest.architecture?.name ?? ''
        this.set({ model: name, version, engine: model.engine, precision: model.plan.precision, architecture }, 1)
      }
    },
  })
}
