import { lookUpsOf } from '../../graph/columns.ts'
import type { Graph } from '../../graph/graph.ts'

/** The tables of an optimised graph in which columns of an input are looked up. */
export function tablesOf(graph: Graph, input: string): Set<string> {
  return new Set(lookUpsOf(graph).flatMap(({ table, input: read }) => (read === input ? [table!] : [])))
}

/** Per column of an optimised graph's input, the rows of the smallest table that it is looked up in. */
export function tableRows(graph: Graph, input: string): Map<number, number> {
  const rows = new Map<number, number>()
  for (const { table, input: read, columns } of lookUpsOf(graph)) {
    const ids = graph.dimsOf(table!)?.[0]
    if (read !== input || ids === undefined) continue
    for (const column of columns) rows.set(column, Math.min(ids, rows.get(column) ?? ids))
  }
  return rows
}
