import type { Graph } from '../../graph/graph.ts'
import type { VariantGraph } from '../sides/contract.ts'
import { fullVariant } from '../sides/full-variant.ts'
import { planNames } from '../sides/tensor-names.ts'
import type { FoundTables } from './find-live-tables.ts'
import { overlayWhole } from './overlays.ts'

/** A whole graph whose live tables have overlays. */
export function liveVariant(graph: Graph, found: FoundTables): VariantGraph {
  const { rows, ...variant } = fullVariant(graph)
  const columns = Array.from({ length: found.inputWidth }, (_, i) => i)
  const { slots } = planNames
  return { ...variant, graph: overlayWhole(graph, found), rows: [...rows, { name: slots, input: slots, columns }] }
}
