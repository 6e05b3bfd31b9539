import type { GraphStats } from './engine.ts'

export const noCache: GraphStats['cache'] = { hits: 0, misses: 0, entries: 0, evictions: 0, bytes: 0 }

export function addStats(a: GraphStats, b: GraphStats): GraphStats {
  const add = <T extends Record<string, number>>(a: T, b: T) =>
    Object.fromEntries(Object.keys(a).map((key) => [key, a[key]! + b[key]!])) as T
  return { rows: add(a.rows, b.rows), cache: add(a.cache, b.cache) }
}
