import { murmur3 } from '../base/hash.ts'
import type { LogRecord } from '../schemas/prediction-log.ts'

/** The number that sampling goes by, from 0 to 1: a share of the requests are those with a smaller one. */
export const sampleHash = (traceId: string | undefined, requestId: string): number =>
  murmur3(traceId ?? requestId, 0) / 2 ** 32

/** A record as a server with a share of its share would have recorded it; undefined where it would not have. */
export function sampled(record: LogRecord, share: number): LogRecord | undefined {
  if (share === 1) return record
  const sample_rate = record.sample_rate * share
  // Those that were recorded have the smallest hashes already.
  return sampleHash(record.trace_id, record.request_id) < sample_rate ? { ...record, sample_rate } : undefined
}
