import type { Registry } from 'prom-client'
import type { PredictionTable } from '../../model/contracts/prediction.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import { createReadMetrics, type Series, seriesOf, type Versions } from './read-metrics.ts'

/** The state of every served version, read at each scrape: queue, drift, engine. */
export function registerModelMetrics(registry: Registry, versions: Versions): void {
  const { gauge } = createReadMetrics(registry)
  const ofVersions = seriesOf(versions)
  gauge(
    'multigate_queue_rows',
    'Rows in the queue',
    ofVersions((model) => model.stats().queuedRows),
  )
  gauge(
    'multigate_in_flight_batches',
    'Engine calls in progress',
    ofVersions((model) => model.stats().inFlightBatches),
  )
  gauge(
    'multigate_predicted_wait_seconds',
    'Predicted wait of a request that arrives now',
    ofVersions((model) => model.stats().predictedWaitSeconds),
    'max',
  )
  gauge(
    'multigate_drift_psi',
    'Population stability index of a field or task against the test rows: 0.1 is a moderate change, 0.25 a major one',
    () =>
      versions().flatMap(({ name, version, model }) =>
        model.drift().flatMap((drift): Series[] => {
          if (drift.kind === 'length') return []
          return [[{ model: name, version, feature: '', task: '', [drift.kind]: drift.name }, drift.psi]]
        }),
      ),
    'average',
  )
  gauge(
    'multigate_drift_length_psi',
    'Population stability index of how many values a list has, as multigate_drift_psi',
    () =>
      versions().flatMap(({ name, version, model }) =>
        model
          .drift()
          .flatMap(({ kind, name: feature, psi }): Series[] =>
            kind === 'length' ? [[{ model: name, version, feature }, psi]] : [],
          ),
      ),
    'average',
  )
  gauge(
    'multigate_model_info',
    'Served versions; always 1',
    () =>
      versions().map(({ name, version, model: { manifest, engine, plan } }) => {
        const architecture = manifest.architecture?.name ?? ''
        return [{ model: name, version, engine, precision: plan.precision, architecture }, 1]
      }),
    'max',
  )
}

/** The deltas of versions with live fields, read at each scrape. */
export function registerDeltaMetrics(registry: Registry, versions: Versions): void {
  const { gauge, counter } = createReadMetrics(registry)
  const ofVersions = seriesOf(versions)
  // The process that is furthest behind counts for all.
  gauge(
    'multigate_deltas_applied',
    'Delta files 1 to this one are in effect',
    ofVersions(({ live }) => live?.status().applied),
    'min',
  )
  gauge(
    'multigate_overlay_rows',
    'Rows of live tables that deltas have replaced',
    ofVersions(({ live }) => live?.status().rows),
    'max',
  )
  gauge(
    'multigate_delta_refused',
    '1 while a delta file is refused',
    ofVersions(({ live }) => live && Number(live.status().refused !== null)),
    'max',
  )
  gauge(
    'multigate_delta_apply_seconds',
    'Seconds that the last change by deltas took, from reading files until every worker had it',
    ofVersions(({ live }) => live?.counts().applySeconds),
    'max',
  )
  counter(
    'multigate_deltas_refused_total',
    'Delta files that were refused',
    ofVersions(({ live }) => live?.counts().refused),
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
  function forget(model: string, version: string): void {
    means = means.filter(({ labels }) => labels.model !== model || labels.version !== version)
  }
  function meansOf(model: LoadedModel): Map<string, Mean> {
    let found = known.get(model)
    if (found === undefined) {
      const { name, version, tasks, derived } = model.manifest
      const own = [...tasks, ...derived].map((task): Mean => {
        return { labels: { model: name, version, task: task.name }, rows: 0, mean: 0 }
      })
      forget(name, version)
      means.push(...own)
      found = new Map(own.map((mean) => [mean.labels.task, mean]))
      known.set(model, found)
    }
    return found
  }
  createReadMetrics(registry).gauge(
    'multigate_prediction_mean',
    `Running mean of calibrated predictions, over about the last ${memory} rows`,
    () => means.flatMap(({ labels, rows, mean }) => (rows > 0 ? [[labels, mean] as const] : [])),
    'average',
  )
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
    forget,
  }
}
