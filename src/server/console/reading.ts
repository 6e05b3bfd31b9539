import type { LoadedModel } from '../../model/prediction/contract.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { VersionCounts } from '../metrics/version-counts.ts'
import type { Stalls } from './stalls.ts'

/** What one process has counted since its start, and its state now. */
export interface Reading {
  pid: number
  /** ms since 1970, by a clock that never jumps; and by one that may. */
  at: number
  clock: number
  versions: VersionReading[]
  /** CPU time, s. */
  cpuSeconds: number
  /** Time that the event loop was busy, and that engine calls took in all workers, s. */
  loopSeconds: number
  workerSeconds: number
  workers: number
  workersAlive: number
  workersReplaced: number
  residentBytes: number
  connections: number
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

/** The models that answer, and what went wrong so far. */
export interface Condition {
  /** The version that answers, by model. */
  serving: Record<string, string>
  failed: VersionProblem[]
  /** Versions whose compiled plan could not be stored. */
  unstored: VersionProblem[]
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
  /** The candidate cache; undefined where the engine doesn't count, or the version wasn't asked. */
  cache?: { hits: number; misses: number; bytes: number }
}

/** Where a process reads its state. */
export interface ReadingSources {
  metrics: Pick<Metrics, 'versionCounts'>
  models(): { name: string; version: string; model: Pick<LoadedModel, 'stats' | 'graphStats'> }[]
  condition(): Condition
  workers(): { alive: number; replaced: number; busySeconds: number; slots: number }
  connections(): number
  saturation(): number
  deadlineMs: number
}

/** Most versions whose workers are asked for their caches at each reading: it costs a message per worker. */
const mostAsked = 8

/** Reads what this process has counted. Cheap enough for once a second: nothing is formatted, and unused versions are left out. */
export function createReader(sources: ReadingSources): () => Promise<Reading> {
  const { metrics, models, condition, workers, connections, saturation, deadlineMs } = sources
  /** Rows of each version at the last reading: caches of versions with new ones have changed. */
  let before = new Map<string, number>()
  const caches = new Map<string, NonNullable<VersionReading['cache']>>()

  async function askCaches(versions: VersionReading[], live: ReturnType<typeof models>): Promise<void> {
    const rowsNow = new Map(versions.map((version) => [keyOf(version), version.rows]))
    const changed = live
      .filter(({ name, version }) => {
        const key = `${name}/${version}`
        return (rowsNow.get(key) ?? 0) > (before.get(key) ?? 0)
      })
      .slice(0, mostAsked)
    before = rowsNow
    await Promise.all(
      changed.map(async ({ name, version, model }) => {
        const stats = await model.graphStats().catch(() => undefined)
        if (stats === undefined) return
        const { hits, misses, bytes } = stats.cache
        caches.set(`${name}/${version}`, { hits, misses, bytes })
      }),
    )
    for (const key of caches.keys()) if (!rowsNow.has(key)) caches.delete(key)
  }

  return async () => {
    const live = models()
    const stats = new Map(live.map(({ name, version, model }) => [`${name}/${version}`, model.stats()]))
    const versions: VersionReading[] = metrics.versionCounts().map((counts) => {
      const state = stats.get(keyOf(counts))
      return {
        ...counts,
        queueRows: state?.queuedRows ?? 0,
        waitMs: 1000 * (state?.predictedWaitSeconds ?? 0),
      }
    })
    await askCaches(versions, live)
    for (const version of versions) {
      const cache = caches.get(keyOf(version))
      if (cache !== undefined) version.cache = cache
    }
    const { user, system } = process.cpuUsage()
    const { alive, replaced, busySeconds, slots } = workers()
    return {
      pid: process.pid,
      at: steadyNow(),
      clock: Date.now(),
      versions,
      cpuSeconds: (user + system) / 1e6,
      loopSeconds: performance.eventLoopUtilization().active / 1000,
      workerSeconds: busySeconds,
      workers: slots,
      workersAlive: alive,
      workersReplaced: replaced,
      residentBytes: process.memoryUsage.rss(),
      connections: connections(),
      saturation: saturation(),
      uptimeSeconds: process.uptime(),
      deadlineMs,
      condition: condition(),
    }
  }
}

/** ms since 1970, by the clock that never jumps. */
export const steadyNow = (): number => Math.round(performance.timeOrigin + performance.now())

export const keyOf = ({ model, version }: Pick<VersionCounts, 'model' | 'version'>): string => `${model}/${version}`
