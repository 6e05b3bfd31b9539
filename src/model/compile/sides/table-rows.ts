import type { Graph } from '../../graph/graph.ts'
import { firstLayers } from './split-sides.ts'

/** The tables of an optimised graph in which columns of an input are looked up. */
export function tablesOf(graph: Graph, input: string): Set<string> {
  const segments = firstLayers(graph).flatMap((layer) => layer.segments)
  return new Set(segments.flatMap(({ table, input: read }) => (read === input && table !== undefined ? [table] : [])))
}

/** Per column of an optimised graph's input, the rows of the table that it is looked up in. */
export function tableRows(graph: Graph, input: string): Map<number, number> {
  const rows = new Map<number, number>()
  for (const { segments } of firstLayers(graph))
    for (const segment of segments) {
      const ids = segment.table === undefined ? undefined : graph.dimsOf(segment.table)?.[0]
      if (segment.input !== input || ids === undefined) continue
      for (const column of segment.columns) rows.set(column, Math.min(ids, rows.get(column) ?? ids))
    }
  return rows
}
