import { lookUpsOf } from '../../graph/columns.ts'
import type { Graph } from '../../graph/graph.ts'

/** How an input of an optimised graph is looked up. */
export interface LookedUp {
  /** The tables that its columns are looked up in. */
  tables: Set<string>
  /**
   * Per column how many ids it takes from 0 on: the rows of the smallest table that it is looked up in. None of columns from which ids
   * are computed: any value may be one.
   */
  rows: Map<number, number>
}

/** The inputs of an optimised graph that are looked up in tables, by name. */
export function lookedUpInputs(graph: Graph): Map<string, LookedUp> {
  const inputs = new Map<string, LookedUp>()
  for (const { table, input, columns, added } of lookUpsOf(graph)) {
    const known = inputs.get(input) ?? { tables: new Set(), rows: new Map() }
    inputs.set(input, known)
    known.tables.add(table!)
    const all = graph.dimsOf(table!)?.[0]
    if (all === undefined || added === undefined) continue
    for (const [place, column] of columns.entries()) {
      const ids = all - added[place]!
      if (ids > 0) known.rows.set(column, Math.min(ids, known.rows.get(column) ?? ids))
    }
  }
  return inputs
}
