import { type Aggregator, Counter, Gauge, Registry as MetricsRegistry } from 'prom-client'
import type { BatchObserver } from '../../model/batching/contract.ts'
import type { PredictionTable } from '../../model/contracts/prediction.ts'
import type { LoadedModel } from '../../model/prediction/contract.ts'
import { createTally, type TallySeries } from './bound-counter.ts'
import { createHistogramTally, type HistogramSeries } from './bound-histogram.ts'
import { registerConnectionMetrics } from './connection-metrics.ts'
import { registerGraphMetrics } from './graph-metrics.ts'
import { registerPredictionMeans } from './prediction-means.ts'
import { registerRegistryMetrics } from './registry-metrics.ts'
import { removeSeries } from './remove-series.ts'
import type { MetricsSources } from './sources.ts'
import { createStatistics, type Statistics } from './statistics.ts'

/** Seconds: 0.25 ms … 2.5 s, beyond the default deadline. */
const durations = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const powersOfTwo = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

/**
 * The service's metrics, in a registry of their own; `aggregator` says how gauges of several processes go together.
 * Labels come from configuration alone, never from a request: what names no served model counts under an empty model.
 */
export interface Metrics {
  registry: MetricsRegistry
  /** The same by version, as clients of Triton ask for it. */
  statistics: Pick<Statistics, 'of'>
  /** A prediction request has been answered: `outcome` is `ok`, `cancelled`, or an error's code. */
  request(model: LoadedModel | undefined, outcome: string, seconds: number): void
  /** A request was refused before it was read, or its answer given up, whatever its model. */
  shed(reason: 'busy' | 'pending_bytes' | 'unread'): void
  /** A connection was closed as it came: as many are open as may be. */
  connectionRefused(): void
  encoded(model: LoadedModel, rows: number, seconds: number): void
  predicted(model: LoadedModel, table: PredictionTable): void
  /** Its answer was written. */
  written(model: LoadedModel, seconds: number): void
  batchObserver(model: string, version: string): BatchObserver
  unknownValue(model: string, version: string, feature: string): void
  /** Forgets the series of a version that is gone. */
  forget(model: string, version: string): Promise<void>
}

export function createMetrics(sources: MetricsSources): Metrics {
  const registry = new MetricsRegistry()
  const statistics = createStatistics()
  const registers = [registry]
  const model = ['model', 'version'] as const
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter<L>({ name, help, labelNames, registers })
  const histogram = (name: string, help: string, buckets: number[]) =>
    createHistogramTally({ name, help, buckets }, registry)

  const requests = createTally(
    {
      name: 'multigate_requests_total',
      help: 'Prediction requests answered, by outcome',
      labelNames: [...model, 'outcome'],
    },
    registry,
  )
  const rows = createTally(
    { name: 'multigate_rows_total', help: 'Rows of prediction requests accepted', labelNames: model },
    registry,
  )
  const requestDuration = histogram(
    'multigate_request_duration_seconds',
    'Time from the arrival of a request to its answer',
    durations,
  )
  const queueDuration = histogram(
    'multigate_queue_duration_seconds',
    'Time that rows waited for their engine call',
    durations,
  )
  const encodeDuration = histogram(
    'multigate_encode_duration_seconds',
    'Time to turn a request into tensors',
    durations,
  )
  const inferDuration = histogram(
    'multigate_infer_duration_seconds',
    'Time of an engine call, hand-over to its thread included',
    durations,
  )
  const batchRows = histogram('multigate_batch_rows', 'Rows of an engine call', powersOfTwo)
  const batchRequests = histogram('multigate_batch_requests', 'Requests in an engine call', powersOfTwo)
  const releases = counter('multigate_batch_release_total', 'Engine calls, by what released them', [...model, 'reason'])
  const shed = counter('multigate_shed_total', 'Requests refused or given up under load, by reason', [
    ...model,
    'reason',
  ])
  const cancelled = counter('multigate_cancelled_total', 'Requests whose client went away, by where they were', [
    ...model,
    'stage',
  ])
  const unknown = counter('multigate_unknown_values_total', 'Values that fell into an out-of-vocabulary bucket', [
    ...model,
    'feature',
  ])
  const means = registerPredictionMeans(registry)

  const live = (name: string, help: string, read: (model: LoadedModel) => number, aggregator: Aggregator = 'sum') =>
    new Gauge({
      name,
      help,
      labelNames: model,
      registers,
      aggregator,
      collect() {
        this.reset()
        for (const entry of sources.models()) this.set({ model: entry.name, version: entry.version }, read(entry.model))
      },
    })
  live('multigate_queue_rows', 'Rows waiting', (model) => model.stats().queuedRows)
  live('multigate_in_flight_batches', 'Engine calls under way', (model) => model.stats().inFlightBatches)
  live(
    'multigate_predicted_wait_seconds',
    'Predicted wait of a request that arrives now',
    (model) => model.stats().predictedWaitSeconds,
    'max',
  )
  registerGraphMetrics(registry, sources.models)
  registerRegistryMetrics(registry, sources)
  new Gauge({
    name: 'multigate_drift_psi',
    help: 'Population stability index of a field or task against the test rows: 0.1 is a moderate change, 0.25 a major one',
    labelNames: [...model, 'feature', 'task'],
    registers,
    aggregator: 'average',
    collect() {
      this.reset()
      for (const { name, version, model } of sources.models()) {
        for (const drift of model.drift()) {
          const labels = { feature: '', task: '', [drift.kind]: drift.name }
          this.set({ model: name, version, ...labels }, drift.psi)
        }
      }
    },
  })
  new Gauge({
    name: 'multigate_model_info',
    help: 'Versions that are served; always 1',
    labelNames: [...model, 'engine', 'precision', 'architecture'],
    registers,
    aggregator: 'max',
    collect() {
      this.reset()
      for (const { name, version, model } of sources.models()) {
        const architecture = model.manifest.architecture?.name ?? ''
        this.set({ model: name, version, engine: model.engine, precision: model.plan.precision, architecture }, 1)
      }
    },
  })
  new Gauge({
    name: 'multigate_workers',
    help: 'Worker threads that compute, alive now',
    registers,
    collect() {
      this.set(sources.pool().alive)
    },
  })
  new Counter({
    name: 'multigate_workers_replaced_total',
    help: 'Worker threads that died and were replaced',
    registers,
    collect() {
      this.reset()
      this.inc(sources.pool().replaced)
    },
  })
  const connectionsRefused = registerConnectionMetrics(registry, sources)

  const tallies = [
    requests,
    rows,
    requestDuration,
    queueDuration,
    encodeDuration,
    inferDuration,
    batchRows,
    batchRequests,
  ]
  const counters = [releases, shed, cancelled, unknown]
  // There from the start: a rate is known from a counter's second value on.
  for (const reason of ['busy', 'pending_bytes', 'unread']) shed.inc({ model: '', version: '', reason }, 0)
  const known = new WeakMap<LoadedModel, ModelSeries>()
  const unnamed = seriesOf({ model: '', version: '' })
  function seriesOf(labels: ModelSeries['labels']): ModelSeries {
    return {
      labels,
      outcomes: new Map(),
      rows: rows.series(labels),
      duration: requestDuration.series(labels),
      encoding: encodeDuration.series(labels),
    }
  }
  const seriesFor = (served: LoadedModel | undefined): ModelSeries => {
    if (served === undefined) return unnamed
    let found = known.get(served)
    if (found === undefined) {
      found = seriesOf({ model: served.manifest.name, version: served.manifest.version })
      known.set(served, found)
    }
    return found
  }

  return {
    registry,
    statistics,
    request(served, outcome, seconds) {
      if (served) statistics.request(served, outcome === 'ok', seconds)
      const { labels, outcomes, duration } = seriesFor(served)
      let series = outcomes.get(outcome)
      if (series === undefined) {
        series = requests.series({ ...labels, outcome })
        outcomes.set(outcome, series)
      }
      series.add(1)
      duration.observe(seconds)
    },
    shed: (reason) => shed.inc({ model: '', version: '', reason }),
    connectionRefused: () => connectionsRefused.inc(),
    encoded(served, count, seconds) {
      const { rows, encoding } = seriesFor(served)
      rows.add(count)
      encoding.observe(seconds)
      statistics.encoded(served, seconds)
    },
    written: (served, seconds) => statistics.written(served, seconds),
    predicted(served, table) {
      statistics.rows(served, table.requested)
      means.add(served.manifest.name, served.manifest.version, table)
    },
    batchObserver(name, version) {
      const labels = { model: name, version }
      const counts = statistics.batchObserver(name, version)
      const ofRows = batchRows.series(labels)
      const ofRequests = batchRequests.series(labels)
      const ofWaits = queueDuration.series(labels)
      const ofCalls = inferDuration.series(labels)
      return {
        released: ({ rows, requests, reason }) => {
          ofRows.observe(rows)
          ofRequests.observe(requests)
          releases.inc({ ...labels, reason })
        },
        waited(seconds) {
          ofWaits.observe(seconds)
          counts.waited(seconds)
        },
        computed(rows, seconds, requests) {
          ofCalls.observe(seconds)
          counts.computed(rows, seconds, requests)
        },
        shed: (reason) => shed.inc({ ...labels, reason }),
        cancelled: (stage) => cancelled.inc({ ...labels, stage }),
      }
    },
    unknownValue: (name, version, feature) => unknown.inc({ model: name, version, feature }),
    async forget(name, version) {
      statistics.forget(name, version)
      means.forget(name, version)
      await Promise.all([
        ...tallies.map((tally) => tally.forget(name, version)),
        ...counters.map((metric) => removeSeries(metric, name, version)),
      ])
    },
  }
}

/** What is counted with every request of a version. */
interface ModelSeries {
  labels: { model: string; version: string }
  outcomes: Map<string, TallySeries>
  rows: TallySeries
  duration: HistogramSeries
  encoding: HistogramSeries
}
