import type { LiveColumns } from '../../contracts/live-tables.ts'
import type { Graph } from '../../graph/graph.ts'
import { traceShapes } from '../../graph/shapes.ts'
import { canonicalise } from '../passes/canonicalise.ts'
import type { VariantGraph } from '../sides/contract.ts'
import { constantsOf, findLiveTables } from './find-live-tables.ts'
import { liveVariant } from './live-variant.ts'

/**
 * A saved graph with overlays on its live tables, for outputs that are not compiled, such as gates. Changes `graph`. Returns a
 * reason if its look-ups can't be followed.
 */
export async function overlaySaved(graph: Graph, live: LiveColumns): Promise<VariantGraph | string> {
  const saved = constantsOf(graph)
  await traceShapes(graph)
  canonicalise(graph, new Map())
  const found = findLiveTables(graph, live, saved)
  return typeof found === 'string' ? found : liveVariant(graph, found)
}
