import type { GraphMemory, GraphStats } from './engine.ts'

export const noCache: GraphStats['cache'] = { hits: 0, misses: 0, entries: 0, evictions: 0, bytes: 0 }

export const noMemory: GraphMemory = { weights: 0, variants: 0, tables: 0 }

export function addStats(a: GraphStats, b: GraphStats): GraphStats {
  const add = <T extends object>(a: T, b: T) =>
    Object.fromEntries(Object.entries(a).map(([key, value]) => [key, value + (b as Record<string, number>)[key]!])) as T
  // Tables are mapped once.
  const memory = { ...add(a.memory, b.memory), tables: Math.max(a.memory.tables, b.memory.tables) }
  return { rows: add(a.rows, b.rows), cache: add(a.cache, b.cache), memory }
}
