import type { CatalogueStats } from './catalogue.ts'
import type { GraphMemory, GraphStats } from './engine.ts'

export const noCache: GraphStats['cache'] = { hits: 0, misses: 0, entries: 0, evictions: 0, bytes: 0 }

export const noMemory: GraphMemory = { weights: 0, variants: 0, tables: 0 }

export function addStats(a: GraphStats, b: GraphStats): GraphStats {
  const add = <T extends object>(a: T, b: T) =>
    Object.fromEntries(Object.entries(a).map(([key, value]) => [key, value + (b as Record<string, number>)[key]!])) as T
  // Tables are mapped once.
  const memory = { ...add(a.memory, b.memory), tables: Math.max(a.memory.tables, b.memory.tables) }
  const catalogue = addCatalogue(a.catalogue, b.catalogue)
  return { rows: add(a.rows, b.rows), cache: add(a.cache, b.cache), memory, ...(catalogue && { catalogue }) }
}

/** Workers count their hits, and share the files and the index. A worker may be without. */
function addCatalogue(a: CatalogueStats | undefined, b: CatalogueStats | undefined): CatalogueStats | undefined {
  return a && b ? { ...a, hits: a.hits + b.hits } : (a ?? b)
}
