import { rounded as roundedTo } from '../../base/arrays.ts'
import type { LiveClient, LiveModel, LiveProcess, LiveSample, LiveStages } from '../../schemas/live-figures.ts'
import { logDropReasons } from '../../schemas/outcomes.ts'
import { durations } from '../metrics/bound-series.ts'
import { noCounts, versionKey } from '../metrics/version-counts.ts'
import type { LogCounts } from '../prediction-log/log-status.ts'
import { addTo, difference, quantile, sum } from './histogram.ts'
import type { Reading, VersionReading } from './reading.ts'

/** An interval of the service: `sample` is kept, the rest shown once. */
export interface Interval {
  sample: LiveSample
  models: LiveModel[]
  clients: LiveClient[]
  processes: LiveProcess[]
}

/** Most versions that are listed. */
const mostModels = 50

/** Most keys that are listed. */
const mostClients = 20

/**
 * Summarises the time between two readings of every process, rounded for readers. A process that started in between is
 * counted from its start; the last counts of one that has gone are lost. `now` has one reading at least. `at`: when
 * they were made, ms: the clocks of processes differ by what the wall clock jumped between their starts, so that each
 * says only how much time passed in itself.
 */
export function summarise(
  earlier: readonly Reading[],
  now: readonly Reading[],
  at = Math.max(...now.map((reading) => reading.at)),
): Interval {
  const before = new Map(earlier.map((reading) => [reading.pid, reading]))
  const passed = now.flatMap((reading) => {
    const known = before.get(reading.pid)
    return known === undefined ? [] : (reading.at - known.at) / 1000
  })
  const seconds = passed.length === 0 ? now[0]!.uptimeSeconds : Math.max(0.001, ...passed)
  const changes = now.map((reading) => changeOf(before.get(reading.pid), reading, seconds))
  const versions = sumByVersion(changes.flatMap((change) => change.versions))
  const all = versions
    .filter(({ model }) => model !== '')
    .reduce(add, { ...noCounts('', '', durations.length + 1), ...stateOf({}) })
  // The time of requests that were refused unread is their clients'.
  const stagesOfRead = stagesOf(all)
  for (const unread of versions.filter(({ model }) => model === '')) add(all, unread)
  const processes = changes.map(processOf)
  const perSecond = (count: number) => rounded(count / seconds)
  const active = versions
    .map((version) => ({ ...version, requests: sum(version.total) }))
    .filter(({ model, requests }) => model !== '' && requests > 0)
    .sort((a, b) => b.requests - a.requests)
    .slice(0, mostModels)
  return {
    sample: {
      at,
      seconds,
      ...trafficOf(all, seconds),
      stages: stagesOfRead,
      batches: {
        calls: perSecond(all.calls),
        rows: all.calls === 0 ? 0 : rounded(all.callRows / all.calls),
        requests: all.calls === 0 ? 0 : rounded(all.callRequests / all.calls),
      },
      queue_rows: all.queueRows,
      wait_ms: rounded(all.waitMs),
      deadline_ms: now[0]?.deadlineMs ?? 0,
      saturation: largest(processes.map(({ saturation }) => saturation)),
      loop_busy: largest(processes.map(({ loop_busy }) => loop_busy)),
      workers_busy: rounded(mean(processes.map(({ workers_busy }) => workers_busy))),
      cores: rounded(sum(processes.map(({ cores }) => cores))),
      resident_bytes: sum(processes.map(({ resident_bytes }) => resident_bytes)),
      cache: { hits: rounded(all.hits), misses: rounded(all.misses), bytes: all.cacheBytes },
      connections: sum(processes.map(({ connections }) => connections)),
      ...logOf(changes, perSecond),
    },
    models: active.map((version) => ({
      model: version.model,
      version: version.version,
      ...trafficOf(version, seconds),
      total: quantilesOf(version.total),
      queue_rows: version.queueRows,
      wait_ms: rounded(version.waitMs),
    })),
    clients: clientsOf(changes, perSecond),
    processes,
  }
}

/** Keys with requests, those with most candidates first. */
function clientsOf(changes: readonly Change[], perSecond: (count: number) => number): LiveClient[] {
  const sums = new Map<string, LiveClient>()
  for (const { before, now } of changes) {
    if (before === now) continue
    const earlier = new Map(before?.keys.map((key) => [key.client, key]))
    for (const { client, requests, failed, rows } of now.keys) {
      const known = earlier.get(client) ?? { requests: 0, failed: 0, rows: 0 }
      const sum = sums.get(client) ?? { client, requests: 0, candidates: 0, failed: 0 }
      sum.requests += requests - known.requests
      sum.candidates += rows - known.rows
      sum.failed += failed - known.failed
      sums.set(client, sum)
    }
  }
  return [...sums.values()]
    .filter(({ requests }) => requests > 0)
    .sort((a, b) => b.candidates - a.candidates)
    .slice(0, mostClients)
    .map(({ client, requests, candidates, failed }) => ({
      client,
      requests: perSecond(requests),
      candidates: perSecond(candidates),
      failed: perSecond(failed),
    }))
}

/** Nothing where the prediction log is off. */
function logOf(changes: readonly Change[], perSecond: (count: number) => number): Pick<LiveSample, 'prediction_log'> {
  const logs = changes.flatMap(({ before, now }) =>
    now.log === undefined ? [] : [{ before: before?.log, now: now.log }],
  )
  if (logs.length === 0) return {}
  const grown = (read: (log: LogCounts) => number) =>
    sum(logs.map(({ before, now }) => Math.max(0, read(now) - (before === undefined ? 0 : read(before)))))
  const dropped = logDropReasons
    .map((reason) => [reason, grown(({ dropped }) => dropped[reason])] as const)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => [reason, perSecond(count)])
  return {
    prediction_log: { records: perSecond(grown(({ records }) => records)), dropped: Object.fromEntries(dropped) },
  }
}

const stages = ['total', 'encode', 'queue', 'infer'] as const
type Stage = (typeof stages)[number]

/** Counts of one interval. */
interface VersionChange extends Required<Omit<VersionReading, 'cache'>> {
  /** Hits and misses of the cache, per second. */
  hits: number
  misses: number
  cacheBytes: number
}

interface Change {
  seconds: number
  versions: VersionChange[]
  before: Reading | undefined
  now: Reading
}

function changeOf(before: Reading | undefined, now: Reading, seconds: number): Change {
  // One that didn't answer before: when its requests came is unknown.
  if (before === undefined && now.uptimeSeconds > 2 * seconds) return { before: now, now, seconds, versions: [] }
  const known = new Map(before?.versions.map((version) => [versionKey(version), version]))
  return {
    before,
    now,
    seconds,
    versions: now.versions.map((version) => versionChange(known.get(versionKey(version)), version)),
  }
}

/** `before`: undefined or larger where the version was loaded again. */
function versionChange(before: VersionReading | undefined, now: VersionReading): VersionChange {
  const isSame = before !== undefined && before.rows <= now.rows
  const grown = (read: (version: VersionReading) => number) => read(now) - (isSame ? read(before) : 0)
  const buckets = (name: Stage) => (isSame ? difference(now[name], before[name]) : [...now[name]])
  const named = (read: (version: VersionReading) => Record<string, number>) =>
    Object.fromEntries(
      Object.entries(read(now)).map(([name, count]) => [name, count - (isSame ? (read(before)[name] ?? 0) : 0)]),
    )
  return {
    model: now.model,
    version: now.version,
    rows: grown(({ rows }) => rows),
    outcomes: named(({ outcomes }) => outcomes),
    shed: named(({ shed }) => shed),
    total: buckets('total'),
    encode: buckets('encode'),
    queue: buckets('queue'),
    infer: buckets('infer'),
    calls: grown(({ calls }) => calls),
    callRows: grown(({ callRows }) => callRows),
    callRequests: grown(({ callRequests }) => callRequests),
    ...stateOf(now),
  }
}

function stateOf({ queueRows = 0, waitMs = 0, cache }: Partial<VersionReading>) {
  return { queueRows, waitMs, hits: cache?.hits ?? 0, misses: cache?.misses ?? 0, cacheBytes: cache?.bytes ?? 0 }
}

/** Adds to the first change of each version. */
function sumByVersion(changes: readonly VersionChange[]): VersionChange[] {
  const sums = new Map<string, VersionChange>()
  for (const change of changes) {
    const key = versionKey(change)
    const found = sums.get(key)
    if (found === undefined) sums.set(key, change)
    else add(found, change)
  }
  return [...sums.values()]
}

/** Adds to `into`, and returns it. */
function add(into: VersionChange, change: VersionChange): VersionChange {
  for (const name of stages) addTo(into[name], change[name])
  for (const name of ['outcomes', 'shed'] as const)
    for (const [key, count] of Object.entries(change[name])) into[name][key] = (into[name][key] ?? 0) + count
  for (const name of [
    'rows',
    'calls',
    'callRows',
    'callRequests',
    'queueRows',
    'hits',
    'misses',
    'cacheBytes',
  ] as const)
    into[name] += change[name]
  into.waitMs = Math.max(into.waitMs, change.waitMs)
  return into
}

function trafficOf({ outcomes, shed, rows }: VersionChange, seconds: number) {
  const { ok = 0, ...failed } = outcomes
  const perSecond = (counts: Record<string, number>) =>
    Object.fromEntries(
      Object.entries(counts)
        .filter(([, count]) => count > 0)
        .map(([name, count]) => [name, rounded(count / seconds)]),
    )
  return {
    requests: rounded(sum(Object.values(outcomes)) / seconds),
    ok: rounded(ok / seconds),
    candidates: rounded(rows / seconds),
    failed: perSecond(failed),
    shed: perSecond(shed),
  }
}

function stagesOf(change: VersionChange): LiveStages {
  return Object.fromEntries(stages.map((stage) => [stage, quantilesOf(change[stage])])) as LiveStages
}

function quantilesOf(counts: readonly number[]): LiveStages['total'] {
  const total = sum(counts)
  if (total === 0) return null
  const at = (share: number) => rounded(1000 * quantile(durations, counts, share, total))
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

function processOf({ before, now, seconds }: Change): LiveProcess {
  const share = (read: (reading: Reading) => number) =>
    rounded((read(now) - (before === undefined ? 0 : read(before))) / seconds)
  return {
    pid: now.pid,
    resident_bytes: now.residentBytes,
    cores: share(({ cpuSeconds }) => cpuSeconds),
    loop_busy: Math.min(
      1,
      share(({ loopSeconds }) => loopSeconds),
    ),
    workers: now.workersAlive,
    workers_replaced: now.workersReplaced,
    workers_busy: Math.min(1, rounded(share(({ workerSeconds }) => workerSeconds) / Math.max(1, now.workers))),
    connections: now.connections,
    saturation: rounded(now.saturation),
    uptime_seconds: rounded(now.uptimeSeconds),
  }
}

/** Four significant digits are what a chart shows. */
const rounded = (value: number) => roundedTo(value, 4)
const mean = (values: readonly number[]) => (values.length === 0 ? 0 : sum(values) / values.length)
const largest = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, value), 0)
