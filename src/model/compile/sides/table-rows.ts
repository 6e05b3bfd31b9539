import { lookUpsOf } from '../../graph/columns.ts'
import type { Graph } from '../../graph/graph.ts'

/** The tables of an optimised graph in which columns of an input are looked up. */
export function tablesOf(graph: Graph, input: string): Set<string> {
  return new Set(lookUpsOf(graph).flatMap(({ table, input: read }) => (read === input ? [table!] : [])))
}

/**
 * Per column of an optimised graph's input, how many ids it takes from 0 on: the rows of the smallest table that it is looked up in.
 * None of columns from which ids are computed: any value may be one.
 */
export function tableRows(graph: Graph, input: string): Map<number, number> {
  const rows = new Map<number, number>()
  for (const { table, input: read, columns, added } of lookUpsOf(graph)) {
    const all = graph.dimsOf(table!)?.[0]
    if (read !== input || all === undefined || added === undefined) continue
    for (const [place, column] of columns.entries()) {
      const ids = all - added[place]!
      if (ids > 0) rows.set(column, Math.min(ids, rows.get(column) ?? ids))
    }
  }
  return rows
}
