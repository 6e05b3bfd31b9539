import type { LostWorker } from '../../model/engines/pool/engine-pool.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { ModelAuthors } from '../../model/serving/registry/authors.ts'
import type { KeyCounts } from '../metrics/key-counts.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { type VersionCounts, versionKey } from '../metrics/version-counts.ts'
import type { LogCounts } from '../prediction-log/log-status.ts'
import type { Stalls } from './stalls.ts'

/** The counts of one process since its start, and its state now. */
export interface Reading {
  pid: number
  /** ms since 1970, by a clock that never jumps; and by one that may. */
  at: number
  clock: number
  versions: VersionReading[]
  keys: KeyCounts[]
  /** CPU time, s. */
  cpuSeconds: number
  /** Time that the event loop was busy, and that engine calls took in all workers, s. */
  loopSeconds: number
  workerSeconds: number
  workers: number
  workersAlive: number
  workersReplaced: number
  /** The last one of these. */
  workerLost?: LostWorker | undefined
  residentBytes: number
  connections: number
  /** Undefined where the prediction log is off. */
  log?: LogCounts | undefined
  saturation: number
  uptimeSeconds: number
  deadlineMs: number
  condition: Condition
}

export interface VersionProblem {
  model: string
  version: string
  reason: string
}

/** A feature table that is read. */
export interface TableCondition {
  table: string
  version: string
  /** Deltas that are in effect. */
  applied: number
  /** Why a newer version, or a delta, is not. */
  refused: string[]
}

/** The models that answer, and what went wrong so far. */
export interface Condition {
  /** The version that answers, by model. */
  serving: Record<string, string>
  /** Who changed models, by name; see `registry/authors.ts`. */
  authors?: Record<string, ModelAuthors>
  failed: VersionProblem[]
  /** Versions that answer and break what the version before them answered. */
  incompatible: VersionProblem[]
  /** Versions whose compiled plan could not be stored. */
  unstored: VersionProblem[]
  /** Feature tables; undefined where there are none. */
  tables?: TableCondition[] | undefined
  /** Models that go on serving although they vanished from the folder. */
  missing: number
  /** Why the folder of models can't be read; undefined where it can. */
  unreadable?: string | undefined
  /** Why this process isn't ready. */
  unready: string[]
  logLinesDropped: number
  connectionsRefused: number
  stalls: Stalls
}

/** Readings of all processes that answered, the ids of those that did not, and how those that are gone ended. */
export interface Readings {
  answered: Reading[]
  silent: number[]
  /** Exit codes and signals by process, of the last ones. */
  ended?: ReadonlyMap<number, number | string>
}

export interface VersionReading extends VersionCounts {
  queueRows: number
  waitMs: number
  /** Undefined where the engine doesn't count, or the version wasn't asked. */
  cache?: CacheRates
}

/** Where a process reads its state. */
export interface ReadingSources {
  metrics: Pick<Metrics, 'versionCounts' | 'keys'>
  models(): { name: string; version: string; model: Pick<LoadedModel, 'stats' | 'graphStats'> }[]
  condition(): Condition
  workers(): { alive: number; replaced: number; lost?: LostWorker | undefined; busySeconds: number; slots: number }
  connections(): number
  logCounts?: (() => LogCounts | undefined) | undefined
  saturation(): number
  deadlineMs: number
}

/**
 * Reads what this process has counted. Cheap enough for once a second: nothing is formatted, and unused versions are
 * left out.
 */
export function createReader(sources: ReadingSources): () => Promise<Reading> {
  const { metrics, models, condition, workers, connections, logCounts, saturation, deadlineMs } = sources
  const readCaches = createCacheRates()

  return async () => {
    const live = new Map(models().map(({ name, version, model }) => [`${name}/${version}`, model]))
    const versions: VersionReading[] = metrics.versionCounts().map((counts) => {
      const stats = live.get(versionKey(counts))?.stats()
      return {
        ...counts,
        queueRows: stats?.queuedRows ?? 0,
        waitMs: 1000 * (stats?.predictedWaitSeconds ?? 0),
      }
    })
    const caches = await readCaches(versions, (version) => live.get(versionKey(version)))
    for (const version of versions) {
      const cache = caches.get(versionKey(version))
      if (cache !== undefined) version.cache = cache
    }
    const { user, system } = process.cpuUsage()
    const { alive, replaced, lost, busySeconds, slots } = workers()
    return {
      pid: process.pid,
      at: steadyNow(),
      clock: Date.now(),
      versions,
      keys: metrics.keys.list(),
      cpuSeconds: (user + system) / 1e6,
      loopSeconds: performance.eventLoopUtilization().active / 1000,
      workerSeconds: busySeconds,
      workers: slots,
      workersAlive: alive,
      workersReplaced: replaced,
      workerLost: lost,
      residentBytes: process.memoryUsage.rss(),
      connections: connections(),
      log: logCounts?.(),
      saturation: saturation(),
      uptimeSeconds: process.uptime(),
      deadlineMs,
      condition: condition(),
    }
  }
}

/** ms since 1970, by the clock that never jumps. */
export const steadyNow = (): number => Math.round(performance.timeOrigin + performance.now())

/**
 * Hits and misses of a version's candidate cache per second, between the last two times that it was asked, and the
 * bytes that it holds.
 */
export interface CacheRates {
  hits: number
  misses: number
  bytes: number
}

/** Counts of the caches of a version's workers at some time. `at`: s; `rows`: those that clients had sent. */
interface Counted extends CacheRates {
  at: number
  rows: number
}

type Version = Pick<VersionCounts, 'model' | 'version' | 'rows'>
type Asked = Pick<LoadedModel, 'graphStats'>

/** Seconds between two questions at least: each wakes every worker, once per version. */
const askedEvery = 5

/** Most versions that are asked each time. */
const mostAsked = 8

/**
 * Asks the caches of the versions that had rows meanwhile, if five seconds have passed; until then, what was found last
 * stands. Answers by `model/version`. `now`: s, by a clock that never jumps.
 */
export function createCacheRates(
  now: () => number = () => performance.now() / 1000,
): (
  versions: readonly Version[],
  modelOf: (version: Version) => Asked | undefined,
) => Promise<ReadonlyMap<string, CacheRates>> {
  let counted = new Map<string, Counted>()
  let rates = new Map<string, CacheRates>()
  let last = Number.NEGATIVE_INFINITY

  async function count(model: Asked, rows: number): Promise<Counted | undefined> {
    const stats = await model.graphStats().catch(() => undefined)
    if (stats === undefined) return undefined
    const { hits, misses, bytes } = stats.cache
    return { at: now(), rows, hits, misses, bytes }
  }

  return async (versions, modelOf) => {
    if (now() - last < askedEvery) return rates
    const unseen = { at: last, hits: 0, misses: 0 }
    const before = counted
    last = now()
    counted = new Map()
    rates = new Map()
    let asked = 0
    const counts = versions.map(async (version) => {
      const key = versionKey(version)
      const known = before.get(key)
      const model = modelOf(version)
      const isAsked = model !== undefined && version.rows > (known?.rows ?? 0) && asked++ < mostAsked
      const found = isAsked ? await count(model, version.rows) : known
      if (found === undefined) return
      counted.set(key, found)
      rates.set(key, found === known ? { ...known, hits: 0, misses: 0 } : ratesBetween(known ?? unseen, found))
    })
    await Promise.all(counts)
    return rates
  }
}

/** Counts begin again where a version was loaded again. */
function ratesBetween(before: Pick<Counted, 'at' | 'hits' | 'misses'>, now: Counted): CacheRates {
  const perSecond = (grown: number) => Math.max(0, grown) / (now.at - before.at)
  return { hits: perSecond(now.hits - before.hits), misses: perSecond(now.misses - before.misses), bytes: now.bytes }
}
