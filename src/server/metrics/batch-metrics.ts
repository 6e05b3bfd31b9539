import type { Registry } from 'prom-client'
import type { BatchObserver } from '../../model/serving/batching/submission.ts'
import { createHistogramTally, createTally, durations, powersOfTwo, type TallySeries } from './bound-series.ts'
import type { VersionCountsMap } from './version-counts.ts'

/** Metrics of queues, batches and engine calls, and of requests that were shed or cancelled. */
export interface BatchMetrics {
  observer(model: string, version: string): Required<BatchObserver>
  /** A request was shed before its model was known. */
  shed(reason: 'busy' | 'pending_bytes' | 'unread'): void
  /** Adds its counts, by version; requests shed before their model was known count for the version without a name. */
  read(into: VersionCountsMap): void
  /** Removes the series of a version. */
  forget(model: string, version: string): void
}

export function registerBatchMetrics(registry: Registry): BatchMetrics {
  const counter = (name: string, help: string) => createTally(name, help, registry)
  const histogram = (name: string, help: string, buckets: readonly number[]) =>
    createHistogramTally(name, help, buckets, registry)

  const waits = histogram('multigate_queue_duration_seconds', 'Time that rows wait for their engine call', durations)
  const calls = histogram(
    'multigate_infer_duration_seconds',
    'Time of an engine call, including the hand-over to its thread',
    durations,
  )
  const rowsPerCall = histogram('multigate_batch_rows', 'Rows per engine call', powersOfTwo)
  const requestsPerCall = histogram('multigate_batch_requests', 'Requests per engine call', powersOfTwo)
  const releases = counter('multigate_batch_release_total', 'Engine calls, by what released them')
  const shed = counter('multigate_shed_total', 'Requests rejected or dropped under load, by reason')
  const cancelled = counter('multigate_cancelled_total', 'Requests whose client went away, by stage')
  const unnamed = seriesBy(['busy', 'pending_bytes', 'unread'], (reason) =>
    shed.series({ model: '', version: '', reason }, true),
  )

  return {
    observer(name, version) {
      const labels = { model: name, version }
      const ofRows = rowsPerCall.series(labels)
      const ofRequests = requestsPerCall.series(labels)
      const ofWaits = waits.series(labels)
      const ofCalls = calls.series(labels)
      const ofReleases = seriesBy(['immediate', 'idle', 'ahead', 'full', 'delay', 'drain', 'isolated'], (reason) =>
        releases.series({ ...labels, reason }),
      )
      const ofShed = seriesBy(['queue_full', 'predicted_wait', 'quota', 'deadline'], (reason) =>
        shed.series({ ...labels, reason }, true),
      )
      const ofCancelled = seriesBy(['queue', 'compute'], (stage) => cancelled.series({ ...labels, stage }, true))
      return {
        released: ({ rows, requests, reason }) => {
          ofRows.observe(rows)
          ofRequests.observe(requests)
          ofReleases[reason].add(1)
        },
        waited: (seconds) => ofWaits.observe(seconds),
        computed: (_rows, seconds) => ofCalls.observe(seconds),
        shed: (reason) => ofShed[reason].add(1),
        cancelled: (stage) => ofCancelled[stage].add(1),
      }
    },
    shed: (reason) => unnamed[reason].add(1),
    read(into) {
      waits.each(({ model, version }, counts) => {
        into.of(model, version).queue = counts.slice()
      })
      calls.each(({ model, version }, counts) => {
        into.of(model, version).infer = counts.slice()
      })
      rowsPerCall.each(({ model, version }, counts, sum) => {
        const found = into.of(model, version)
        found.calls = counts.reduce((total, count) => total + count, 0)
        found.callRows = sum
      })
      requestsPerCall.each(({ model, version }, _, sum) => {
        into.of(model, version).callRequests = sum
      })
      shed.each(({ model, version, reason }, total) => {
        into.of(model!, version!).shed[reason!] = total
      })
    },
    forget(name, version) {
      for (const metric of [waits, calls, rowsPerCall, requestsPerCall, releases, shed, cancelled])
        metric.forget(name, version)
    },
  }
}

function seriesBy<const L extends string>(
  values: readonly L[],
  series: (value: L) => TallySeries,
): Record<L, TallySeries> {
  return Object.fromEntries(values.map((value) => [value, series(value)])) as Record<L, TallySeries>
}
