import type { LiveSample } from '../../src/schemas/live-figures.ts'

const quantiles = { p50: 1.5, p95: 4, p99: 1234 }
/** A sample of the live stream. */
export const liveSample: LiveSample = {
  at: 0,
  seconds: 1,
  requests: 200,
  ok: 150,
  candidates: 12_000,
  failed: { queue_full: 50 },
  shed: { busy: 40, predicted_wait: 10 },
  stages: { total: quantiles, encode: quantiles, queue: null, infer: quantiles },
  batches: { calls: 1, rows: 1, requests: 1 },
  queue_rows: 1500,
  wait_ms: 12,
  deadline_ms: 50,
  saturation: 1,
  loop_busy: 0.5,
  workers_busy: 0.25,
  cores: 1.25,
  resident_bytes: 2 ** 30,
  cache: { hits: 0, misses: 0, bytes: 2 ** 20 },
  connections: 3,
}
