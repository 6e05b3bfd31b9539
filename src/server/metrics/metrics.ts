import { Registry as MetricsRegistry } from 'prom-client'
import { valueFor } from '../../base/maps.ts'
import type { BatchObserver } from '../../model/serving/batching/submission.ts'
import type { EntityCount } from '../../model/serving/features/entity-counts.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { Key } from '../security/keyring.ts'
import { type BatchMetrics, registerBatchMetrics } from './batch-metrics.ts'
import { durations } from './bound-series.ts'
import { type MetricsSources, registerConnectionMetrics } from './connection-metrics.ts'
import { createEntityCounts, registerTableMetrics } from './entity-metrics.ts'
import { Exemplars } from './exemplars.ts'
import { registerGraphMetrics } from './graph-metrics.ts'
import { KeyCountsMap } from './key-counts.ts'
import { registerDeltaMetrics, registerModelMetrics, registerPredictionMeans } from './model-metrics.ts'
import { registerPoolMetrics } from './pool-metrics.ts'
import { createReadMetrics } from './read-metrics.ts'
import { registerRegistryMetrics } from './registry-metrics.ts'
import { type EndedPrediction, registerRequestMetrics, requestDuration } from './request-metrics.ts'
import { createStatistics, type Statistics } from './statistics.ts'
import { type VersionCounts, VersionCountsMap, versionKey } from './version-counts.ts'

/**
 * The service's metrics, in their own registry; `aggregator` says how gauges of several processes are combined. Labels
 * come from configuration, never from a request: requests that name no served model count under an empty model.
 */
export interface Metrics {
  registry: MetricsRegistry
  /** Counts per version, for Triton's statistics. */
  statistics: Pick<Statistics, 'of'>
  /** A version has loaded: its series of requests begin with 0. */
  begin(model: LoadedModel): void
  /** A prediction request has ended, answered or not. The one place that counts it. */
  ended(request: EndedRequest): void
  /** Traces that show what requests of a duration were like; where there are none, this costs nothing. */
  exemplars: Exemplars
  /** A request was rejected before it was read, or its response dropped, whatever its model. */
  shed: BatchMetrics['shed']
  /** A connection was closed on arrival, because too many are open. */
  connectionRefused(): void
  /** Connections that were closed on arrival, since the start. */
  connectionsRefused(): number
  batchObserver(model: string, version: string): BatchObserver
  /** Counts values of a field that a version doesn't know. */
  countUnknown(model: string, version: string, feature: string, values: number): void
  /** Counts values that a list of a version lost as it was cut. */
  cutValues(model: string, version: string, feature: string, values: number): void
  /** How many values of each field of a version were unknown; fields without any are left out. */
  unknownValues(model: string, version: string): ReadonlyMap<string, number>
  /** Counts the keys of a request: how many of an entity a table has, and those that it has not, or some of `count`. */
  countKeys(
    model: string,
    version: string,
    entity: string,
    found: number,
    unknown: readonly string[],
    count: number,
  ): void
  /** Keys that requests named, by entity of a version. */
  entityKeys(model: string, version: string): ReadonlyMap<string, EntityCount>
  /** Counts by key. */
  keys: KeyCountsMap
  /**
   * The counts of every version that has had a request; those of the version without a name include requests refused
   * for their keys.
   */
  versionCounts(): VersionCounts[]
  /** Removes the series of a version that is gone. */
  forget(model: string, version: string): void
}

/** A prediction request that has ended, and whose it was. */
export interface EndedRequest extends EndedPrediction {
  /** That it came with; undefined where clients need none. */
  key?: Key | undefined
  /** The id of its trace, if it is kept. */
  traceId?: string | undefined
}

export function createMetrics(sources: MetricsSources): Metrics {
  const registry = new MetricsRegistry()
  const statistics = createStatistics()
  const requests = registerRequestMetrics(registry)
  const batches = registerBatchMetrics(registry)
  const unknown = createFeatureCounts(
    registry,
    'multigate_unknown_values_total',
    'Values outside a vocabulary or a range of ids, and numbers beyond the range of training',
  )
  const cut = createFeatureCounts(
    registry,
    'multigate_cut_values_total',
    'Values of lists that were longer than the model takes',
  )
  const entities = createEntityCounts(registry)
  const means = registerPredictionMeans(registry)
  const exemplars = new Exemplars(requestDuration, durations)
  registerModelMetrics(registry, sources.models)
  registerGraphMetrics(registry, sources.models)
  registerDeltaMetrics(registry, sources.models)
  registerTableMetrics(registry, () => sources.tables?.() ?? [], sources.models)
  registerRegistryMetrics(registry, sources)
  registerPoolMetrics(registry, sources.pool)
  const keys = new KeyCountsMap()
  let refused = 0
  registerConnectionMetrics(registry, sources, () => refused)

  return {
    registry,
    statistics,
    exemplars,
    begin: requests.begin,
    ended(request) {
      const { model, key, accepted, table, traceId } = request
      requests.ended(request)
      statistics.ended(request)
      if (model && table && accepted?.observed) means.add(model, table)
      if (key !== undefined) keys.ended(key.id, request.outcome, accepted?.rows ?? 0)
      if (traceId !== undefined) exemplars.add(model?.manifest, request.seconds, traceId)
    },
    keys,
    shed: batches.shed,
    connectionRefused() {
      refused++
    },
    connectionsRefused: () => refused,
    batchObserver(name, version) {
      const counts = statistics.batchObserver(name, version)
      const observer = batches.observer(name, version)
      return {
        ...observer,
        waited(seconds) {
          observer.waited(seconds)
          counts.waited(seconds)
        },
        computed(rows, seconds, requests) {
          observer.computed(rows, seconds, requests)
          counts.computed(rows, seconds, requests)
        },
      }
    },
    versionCounts() {
      const counts = new VersionCountsMap()
      requests.read(counts)
      batches.read(counts)
      Object.assign(counts.of('', '').outcomes, keys.denials())
      return counts.used()
    },
    countUnknown: unknown.add,
    cutValues: cut.add,
    unknownValues: unknown.of,
    countKeys: entities.add,
    entityKeys: entities.of,
    forget(name, version) {
      statistics.forget(name, version)
      exemplars.forget(name, version)
      means.forget(name, version)
      for (const metric of [requests, batches, unknown, cut, entities]) metric.forget(name, version)
    },
  }
}

/** Adds a counter of the fields of each version. */
function createFeatureCounts(registry: MetricsRegistry, name: string, help: string) {
  const versions = new Map<string, { model: string; version: string; features: Map<string, number> }>()
  createReadMetrics(registry).counter(name, help, () =>
    [...versions.values()].flatMap(({ model, version, features }) =>
      [...features].map(([feature, count]) => [{ model, version, feature }, count] as const),
    ),
  )
  return {
    add(model: string, version: string, feature: string, count: number): void {
      const none = () => ({ model, version, features: new Map<string, number>() })
      const { features } = valueFor(versions, versionKey({ model, version }), none)
      features.set(feature, (features.get(feature) ?? 0) + count)
    },
    of: (model: string, version: string) => new Map(versions.get(versionKey({ model, version }))?.features),
    forget: (model: string, version: string) => versions.delete(versionKey({ model, version })),
  }
}
