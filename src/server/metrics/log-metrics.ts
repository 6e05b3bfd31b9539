import type { Registry } from 'prom-client'
import type { LogConverter } from '../prediction-log/log-converter.ts'
import { countsOf } from '../prediction-log/log-status.ts'
import type { OpenLog } from '../prediction-log/open-log.ts'
import { createReadMetrics } from './read-metrics.ts'

export interface LogMetricsOptions {
  /** Bound of its finished files. */
  maxBytes: number
  /** Undefined where they do not become Parquet. */
  converter: LogConverter | undefined
}

/** Counts of the prediction log, read at each scrape. */
export function registerLogMetrics(
  registry: Registry,
  opened: OpenLog,
  { maxBytes, converter }: LogMetricsOptions,
): void {
  const { log, written } = opened
  const { gauge, counter } = createReadMetrics(registry)
  counter('multigate_log_records_total', 'Requests that the prediction log has recorded', () => written().records)
  counter('multigate_log_bytes_total', 'Bytes that the prediction log has written', () => written().bytes)
  counter(
    'multigate_log_repaired_total',
    'Recorded requests with half of a surrogate pair, which is written as U+FFFD',
    () => written().repaired,
  )
  counter(
    'multigate_log_dropped_total',
    'Requests that the prediction log was to record and did not: its buffer was full, they were too large for it, the disk took nothing, or they could not be read again',
    () => Object.entries(countsOf(opened).dropped).map(([reason, count]) => [{ reason }, count]),
  )
  gauge('multigate_log_buffer_bytes', 'Bytes of requests that wait to be written', () => log.state.waiting)
  gauge('multigate_log_disk_bytes', 'Bytes of finished files of the prediction log', () => written().disk, 'max')
  gauge(
    'multigate_log_disk_limit_bytes',
    'Bytes of finished files beyond which the oldest ones are removed',
    () => maxBytes,
    'max',
  )
  gauge(
    'multigate_log_writable',
    'Whether the prediction log could be written last (1) or not (0)',
    () => (written().problem === undefined ? 1 : 0),
    'min',
  )
  if (converter === undefined) return
  counter(
    'multigate_log_conversions_total',
    'Finished files of the prediction log that became Parquet (ok), and conversions that failed, whose files keep lines of JSON',
    () => Object.entries(converter.state).map(([outcome, count]) => [{ outcome }, count]),
  )
}
