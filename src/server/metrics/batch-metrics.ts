import { Counter, type Registry } from 'prom-client'
import type { BatchObserver } from '../../model/batching/contract.ts'
import { createHistogramTally } from './bound-histogram.ts'
import { durations, powersOfTwo } from './buckets.ts'
import { removeSeries } from './remove-series.ts'

/** Metrics of queues, batches and engine calls, and of requests that were shed or cancelled. */
export interface BatchMetrics {
  observer(model: string, version: string): Required<BatchObserver>
  /** A request was shed before its model was known. */
  shed(reason: 'busy' | 'pending_bytes' | 'unread'): void
  /** Removes the series of a version. */
  forget(model: string, version: string): Promise<unknown>
}

export function registerBatchMetrics(registry: Registry): BatchMetrics {
  const model = ['model', 'version'] as const
  const counter = <L extends string>(name: string, help: string, label: L) =>
    new Counter({ name, help, labelNames: [...model, label], registers: [registry] })
  const histogram = (name: string, help: string, buckets: readonly number[]) =>
    createHistogramTally({ name, help, buckets }, registry)

  const waits = histogram('multigate_queue_duration_seconds', 'Time that rows wait for their engine call', durations)
  const calls = histogram(
    'multigate_infer_duration_seconds',
    'Time of an engine call, including the hand-over to its thread',
    durations,
  )
  const rowsPerCall = histogram('multigate_batch_rows', 'Rows per engine call', powersOfTwo)
  const requestsPerCall = histogram('multigate_batch_requests', 'Requests per engine call', powersOfTwo)
  const releases = counter('multigate_batch_release_total', 'Engine calls, by what released them', 'reason')
  const shed = counter('multigate_shed_total', 'Requests rejected or dropped under load, by reason', 'reason')
  const cancelled = counter('multigate_cancelled_total', 'Requests whose client went away, by stage', 'stage')
  // Present from the start: a rate needs two values of a counter.
  for (const reason of ['busy', 'pending_bytes', 'unread']) shed.inc({ model: '', version: '', reason }, 0)

  return {
    observer(name, version) {
      const labels = { model: name, version }
      const ofRows = rowsPerCall.series(labels)
      const ofRequests = requestsPerCall.series(labels)
      const ofWaits = waits.series(labels)
      const ofCalls = calls.series(labels)
      for (const reason of ['queue_full', 'predicted_wait', 'quota', 'deadline']) shed.inc({ ...labels, reason }, 0)
      for (const stage of ['queue', 'compute']) cancelled.inc({ ...labels, stage }, 0)
      return {
        released: ({ rows, requests, reason }) => {
          ofRows.observe(rows)
          ofRequests.observe(requests)
          releases.inc({ ...labels, reason })
        },
        waited: (seconds) => ofWaits.observe(seconds),
        computed: (_rows, seconds) => ofCalls.observe(seconds),
        shed: (reason) => shed.inc({ ...labels, reason }),
        cancelled: (stage) => cancelled.inc({ ...labels, stage }),
      }
    },
    shed: (reason) => shed.inc({ model: '', version: '', reason }),
    forget: (name, version) =>
      Promise.all([
        ...[waits, calls, rowsPerCall, requestsPerCall].map((metric) => metric.forget(name, version)),
        ...[releases, shed, cancelled].map((metric) => removeSeries(metric, name, version)),
      ]),
  }
}
