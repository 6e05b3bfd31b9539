import type { LiveColumns } from '../../contracts/live-tables.ts'
import type { Graph } from '../../graph/graph.ts'
import { traceShapes } from '../../graph/shapes.ts'
import type { VariantGraph } from '../sides/contract.ts'
import { fullVariant } from '../sides/full-variant.ts'
import { findLiveTables } from './find-live-tables.ts'
import { overlayVariant } from './overlays.ts'

/**
 * A saved graph with overlays on its live tables, for outputs that are not compiled, such as gates. Changes `graph`. Returns a
 * reason if rows of its tables can't be replaced.
 */
export async function overlaySaved(graph: Graph, live: LiveColumns): Promise<VariantGraph | string> {
  const found = await findLiveTables(graph, live)
  if (typeof found === 'string') return found
  await traceShapes(graph)
  return overlayVariant(fullVariant(graph), found, {})
}
