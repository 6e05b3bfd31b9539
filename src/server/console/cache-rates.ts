import type { LoadedModel } from '../../model/prediction/contract.ts'
import { keyOf, type VersionCounts } from '../metrics/version-counts.ts'

/** What happened in a version's candidate cache per second, between the last two times that it was asked, and what it holds. */
export interface CacheRates {
  hits: number
  misses: number
  bytes: number
}

/** What the caches of a version's workers had counted. `at`: s; `rows`: those that clients had sent. */
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
 * Asks the caches of the versions that had rows meanwhile, if five seconds have passed; until then, what was found last stands.
 * Answers by `model/version`. `now`: s, by a clock that never jumps.
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
      const key = keyOf(version)
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
