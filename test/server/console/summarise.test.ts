import t from 'tap'
import { quantile } from '../../../src/server/console/histogram.ts'
import type { Reading, VersionReading } from '../../../src/server/console/reading.ts'
import { summarise } from '../../../src/server/console/summarise.ts'
import { durations } from '../../../src/server/metrics/bound-series.ts'
import { logCounts } from '../../support/log-counts.ts'
import { aReading, aVersion } from '../../support/readings.ts'

const version = (changes: Partial<VersionReading> = {}) => aVersion(changes)
const reading = (changes: Partial<Reading> = {}) => aReading(changes)

t.test('rates, failures and shed requests are per second of the interval', async (t) => {
  const before = reading({
    at: 1000,
    versions: [version({ rows: 100, outcomes: { ok: 10, invalid_request: 1 }, shed: { deadline: 4 } })],
  })
  const now = reading({
    at: 3000,
    versions: [version({ rows: 500, outcomes: { ok: 30, invalid_request: 3, cancelled: 0 }, shed: { deadline: 10 } })],
  })
  const { sample, models } = summarise([before], [now])
  t.match(sample, {
    at: 3000,
    seconds: 2,
    requests: 11,
    ok: 10,
    candidates: 200,
    failed: { invalid_request: 1 },
    shed: { deadline: 3 },
  })
  t.same(Object.keys(sample.failed), ['invalid_request'], 'nothing that did not happen')
  t.same(models, [], 'none had a duration')
})

t.test('records of the prediction log, and those that are missing, are per second of the interval', async (t) => {
  const of = (pid: number, at: number, changes: Parameters<typeof logCounts>[0]) =>
    reading({ pid, at, log: logCounts(changes) })
  const before = [of(1, 1000, { records: 10, dropped: { full: 4 } }), of(2, 1000, { records: 7 })]
  const now = [of(1, 3000, { records: 30, dropped: { full: 4 } }), of(2, 3000, { records: 9, dropped: { disk: 5 } })]
  t.same(summarise(before, now).sample.prediction_log, { records: 11, dropped: { disk: 2.5 } })
  t.notOk('prediction_log' in summarise([reading()], [reading({ at: 1000 })]).sample, 'nothing where it is off')
})

t.test('quantiles are those of the interval, interpolated within a bucket', async (t) => {
  const counts = (changes: Record<number, number>) => durations.map((bound) => changes[bound] ?? 0).concat(0)
  const before = reading({ versions: [version({ total: counts({ 2.5: 1000 }) })] })
  const now = reading({ at: 1000, versions: [version({ total: counts({ 2.5: 1000, 0.005: 50, 0.01: 50 }) })] })
  const { sample, models } = summarise([before], [now])
  const { total, ...others } = sample.stages
  t.same(
    Object.values(total!).map((ms) => Math.round(1000 * ms)),
    [5000, 9500, 9900],
  )
  t.same(others, { encode: null, queue: null, infer: null })
  t.match(models, [{ model: 'ads', version: '1', total: { p50: 5 } }])
  t.equal(quantile([1, 2], [0, 0, 3], 0.5), 2, 'beyond the largest bound it is that bound')
})

t.test('processes are summed; the fullest one counts', async (t) => {
  const of = (pid: number, at: number, seconds: number) =>
    reading({
      pid,
      at,
      cpuSeconds: seconds,
      loopSeconds: seconds / 2,
      workerSeconds: seconds,
      saturation: pid / 10,
      residentBytes: 100,
      versions: [version({ outcomes: { ok: 10 * seconds } })],
    })
  const { sample, processes } = summarise([of(1, 0, 0), of(2, 0, 0)], [of(1, 1000, 1), of(2, 1000, 0.5)])
  t.match(sample, {
    requests: 15,
    cores: 1.5,
    loop_busy: 0.5,
    workers_busy: 0.75,
    saturation: 0.2,
    resident_bytes: 200,
  })
  t.same(
    processes.map(({ pid, cores }) => [pid, cores]),
    [
      [1, 1],
      [2, 0.5],
    ],
  )
})

t.test('a process that started counts from its start, one that was silent does not count twice', async (t) => {
  const used = { versions: [version({ outcomes: { ok: 7 } })] }
  const before = reading({ pid: 1, at: 0 })
  const after = reading({ pid: 1, at: 1000 })
  t.equal(summarise([before], [after, reading({ pid: 2, at: 1000, uptimeSeconds: 0.9, ...used })]).sample.requests, 7)
  t.equal(summarise([before], [after, reading({ pid: 2, at: 1000, uptimeSeconds: 60, ...used })]).sample.requests, 0)
  t.equal(summarise([], [reading({ pid: 2, at: 1000, uptimeSeconds: 2, ...used })]).sample.requests, 3.5)
})

t.test('a version that is loaded again counts from zero', async (t) => {
  const before = reading({ versions: [version({ rows: 1000, outcomes: { ok: 100 }, calls: 50 })] })
  const now = reading({ at: 1000, versions: [version({ rows: 20, outcomes: { ok: 2 }, calls: 1, callRows: 20 })] })
  t.match(summarise([before], [now]).sample, { requests: 2, candidates: 20, batches: { calls: 1, rows: 20 } })
})

t.test('keys are summed over processes, those with most candidates first', async (t) => {
  const keys = (...counts: [client: string, requests: number, rows: number, failed: number][]) =>
    counts.map(([client, requests, rows, failed]) => ({ client, requests, rows, failed }))
  const before = [reading({ pid: 1, keys: keys(['a', 10, 100, 1], ['idle', 5, 5, 5]) }), reading({ pid: 2 })]
  const now = [
    reading({ pid: 1, at: 2000, keys: keys(['a', 14, 120, 1], ['idle', 5, 5, 5]) }),
    reading({ pid: 2, at: 2000, keys: keys(['b', 2, 400, 2], ['a', 2, 4, 0]) }),
  ]
  t.same(summarise(before, now).clients, [
    { client: 'b', requests: 1, candidates: 200, failed: 1 },
    { client: 'a', requests: 3, candidates: 12, failed: 0 },
  ])
  const silent = reading({ pid: 9, at: 1000, uptimeSeconds: 60, keys: keys(['a', 1000, 1000, 0]) })
  t.same(summarise([reading({})], [reading({ at: 1000 }), silent]).clients, [], 'of no known time')
})

t.test(
  'a process that started while the wall clock was wrong has another clock; rates are of the time that passed',
  async (t) => {
    const day = 86_400_000
    const of = (pid: number, at: number, ok: number) => reading({ pid, at, versions: [version({ outcomes: { ok } })] })
    const { sample } = summarise([of(1, 1000, 0), of(2, 1000 - day, 0)], [of(1, 2000, 10), of(2, 2000 - day, 20)], 2000)
    t.match(sample, { at: 2000, seconds: 1, requests: 30 })
    t.equal(summarise([of(2, 1000 - day, 0)], [of(1, 2000, 10), of(2, 2000 - day, 20)], 2000).sample.seconds, 1)
  },
)

t.test('requests that were refused unread count, and their durations do not', async (t) => {
  const counts = (slowest: number) => durations.map(() => 0).concat(slowest)
  const unread = version({ model: '', version: '', outcomes: { unsupported_media_type: 4 }, total: counts(4) })
  const { sample } = summarise([reading({})], [reading({ at: 1000, versions: [unread] })])
  t.match(sample, { requests: 4, failed: { unsupported_media_type: 4 }, stages: { total: null } })
})
