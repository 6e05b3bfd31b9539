import { type Aggregator, Counter, Gauge, type Registry } from 'prom-client'
import type { PredictionTable } from '../../model/contracts/prediction.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { MetricsSources } from './connection-metrics.ts'

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
  // The process that is furthest behind counts for all.
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

/** Rows after which an old prediction counts for little in the running mean. */
const memory = 10_000

/** The running mean of each task's calibrated predictions. */
export interface PredictionMeans {
  add(model: LoadedModel, table: PredictionTable): void
  forget(model: string, version: string): void
}

interface Mean {
  labels: { model: string; version: string; task: string }
  /** That it is the mean of. */
  rows: number
  mean: number
}

export function registerPredictionMeans(registry: Registry): PredictionMeans {
  let means: Mean[] = []
  // A version that answers its last requests after it was forgotten must not come back.
  const known = new WeakMap<LoadedModel, Map<string, Mean>>()
  function meansOf(model: LoadedModel): Map<string, Mean> {
    let found = known.get(model)
    if (found === undefined) {
      const { name, version, tasks, derived } = model.manifest
      const own = [...tasks, ...derived].map((task): Mean => {
        return { labels: { model: name, version, task: task.name }, rows: 0, mean: 0 }
      })
      means.push(...own)
      found = new Map(own.map((mean) => [mean.labels.task, mean]))
      known.set(model, found)
    }
    return found
  }
  new Gauge({
    name: 'multigate_prediction_mean',
    help: `Running mean of calibrated predictions, over about the last ${memory} rows`,
    labelNames: ['model', 'version', 'task'],
    registers: [registry],
    aggregator: 'average',
    collect() {
      this.reset()
      for (const { labels, rows, mean } of means) if (rows > 0) this.set(labels, mean)
    },
  })
  return {
    add(model, { tasks }) {
      const own = meansOf(model)
      for (const [task, values] of tasks) {
        if (values.length === 0) continue
        const state = own.get(task)!
        state.rows = Math.min(state.rows + values.length, Math.max(memory, values.length))
        let sum = 0
        for (let i = 0; i < values.length; i++) sum += values[i]!
        state.mean += (sum / values.length - state.mean) * (values.length / state.rows)
      }
    },
    forget(model, version) {
      means = means.filter(({ labels }) => labels.model !== model || labels.version !== version)
    },
  }
}
