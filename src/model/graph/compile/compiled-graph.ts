import type { Effort, PassReport, TableRows, Verdict } from '../../contracts/compiled-plan.ts'
import type { LiveTable } from '../../contracts/live-tables.ts'
import type { SplitGraphs, VariantGraph } from '../sides/split-graphs.ts'

/** The graph variants of one precision. */
export interface Plans {
  /** Accepts any rows: inputs as saved. */
  full: VariantGraph
  /** Split by side, or the reason why not. */
  split: SplitGraphs | string
}

/** The same variants, each changed. */
export function changeEach({ full, split }: Plans, change: (variant: VariantGraph) => VariantGraph): Plans {
  if (typeof split === 'string') return { full: change(full), split }
  const { layers, shared_context, candidate_encoder, context_encoder, cached } = split
  return {
    full: change(full),
    split: {
      layers,
      shared_context: shared_context && change(shared_context),
      candidate_encoder: candidate_encoder && change(candidate_encoder),
      context_encoder: context_encoder && change(context_encoder),
      cached: cached && change(cached),
    },
  }
}

/** The live tables of a graph, by name of the constant. */
export type FoundTables = ReadonlyMap<string, LiveTable>

export interface CompiledGraph {
  passes: PassReport[]
  float32: Plans
  /** Why the padding of lists is computed like values, by the names of these lists. */
  paddedLists?: Record<string, string>
  /** If it was requested and is possible. */
  int8: (Plans & { effort: Effort; verdict: Verdict | undefined; passes: PassReport[] }) | undefined
  /** Why int8 is missing, if it was requested. */
  int8Problem: string | undefined
  /** How rows of large tables are stored, if another format than float32 was requested. */
  tableRows?: TableRows
  /**
   * The full graph with float32 tables, if those of `float32` have narrow rows and there is int8 to be compared with
   * it.
   */
  reference?: VariantGraph
  /** The live tables, if columns of them were named; or why there are none. */
  live?: FoundTables
  liveProblem?: string
  /** With live tables: computes every output that may be requested, if there are others than the compiled one. */
  saved?: VariantGraph
}
