import { AggregatorRegistry, type MetricType, type PrometheusContentType } from 'prom-client'

/** A process's metrics, as prom-client's `getMetricsAsJSON` answers them. */
export type Snapshot = Metric[]

interface Metric {
  name: string
  help: string
  type: MetricType | string
  aggregator?: string
  values: { value: number; labels: Partial<Record<string, string | number>>; metricName?: string }[]
}

/** How Node's own gauges go together where prom-client has another opinion, or a sum says nothing. */
const aggregators: Record<string, string> = {
  process_start_time_seconds: 'min',
  process_max_fds: 'min',
  nodejs_eventloop_lag_seconds: 'max',
  nodejs_eventloop_lag_stddev_seconds: 'max',
  nodejs_eventloop_lag_p50_seconds: 'max',
  nodejs_eventloop_lag_p90_seconds: 'max',
  nodejs_eventloop_lag_p99_seconds: 'max',
}

/**
 * Metrics of several processes as those of one: counters and histograms are summed, each gauge goes together as its
 * `aggregator` says. Counts of a process that has died stay part of the sums, so that these never go down, for as long
 * as the version that they belong to is served.
 */
export class Totals {
  #retired: Snapshot[] = []

  /** Keeps what a process that has died had counted, as far as is known. */
  retire(snapshot: Snapshot): void {
    this.#retired.push(countersOf(snapshot))
  }

  /** Prometheus text. `current`: of processes that have answered; `earlier`: what others had answered before. */
  async text(current: Snapshot[], earlier: Snapshot[]): Promise<string> {
    const live = versionsOf(current)
    const retired = this.#retired.map((snapshot) => (live.size === 0 ? snapshot : onlyOf(snapshot, live)))
    const known = this.#retired.length
    const sum = aggregate([...withStatesOfOne(current), ...earlier.map(countersOf), ...retired])
    if (known > 0) {
      const compact = (await aggregate(retired).getMetricsAsJSON()) as Snapshot
      // Others may have died meanwhile.
      this.#retired.splice(0, known, compact)
    }
    return sum.metrics()
  }
}

function aggregate(snapshots: Snapshot[]) {
  return AggregatorRegistry.aggregate<PrometheusContentType>(
    snapshots.map((metrics) =>
      metrics.map((metric) => ({ ...metric, aggregator: aggregators[metric.name] ?? metric.aggregator ?? 'sum' })),
    ),
  )
}

const stateGauge = 'multigate_models'

/**
 * Models by state are those of one process, so that they add up to the models in the folder: the process with the most
 * failed models, and of several the one with the most ready ones.
 */
function withStatesOfOne(snapshots: Snapshot[]): Snapshot[] {
  const count = (snapshot: Snapshot, state: string) =>
    snapshot.find(({ name }) => name === stateGauge)?.values.find(({ labels }) => labels.state === state)?.value ?? -1
  const [shown] = [...snapshots].sort(
    (a, b) => count(b, 'failed') - count(a, 'failed') || count(b, 'ready') - count(a, 'ready'),
  )
  return snapshots.map((snapshot) =>
    snapshot === shown ? snapshot : snapshot.filter(({ name }) => name !== stateGauge),
  )
}

/** The metrics that only ever grow: gauges of a process that doesn't answer mean nothing. */
function countersOf(snapshot: Snapshot): Snapshot {
  return snapshot.filter(({ type }) => type === 'counter' || type === 'histogram')
}

/** Versions that are served, as `model/version`. */
function versionsOf(snapshots: Snapshot[]): Set<string> {
  const served = snapshots.flatMap((snapshot) => snapshot.filter(({ name }) => name === 'multigate_model_info'))
  return new Set(served.flatMap(({ values }) => values.map(({ labels }) => `${labels.model}/${labels.version}`)))
}

/** Without the series of versions that are no longer served; those of no version stay. */
function onlyOf(snapshot: Snapshot, live: Set<string>): Snapshot {
  return snapshot.map((metric) => ({
    ...metric,
    values: metric.values.filter(({ labels }) => !labels.model || live.has(`${labels.model}/${labels.version}`)),
  }))
}
