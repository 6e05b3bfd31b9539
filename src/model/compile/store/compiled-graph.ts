import type { Effort, PassReport, Verdict } from '../../contracts/compiled-plan.ts'
import type { SplitGraphs, VariantGraph } from '../sides/contract.ts'

/** The graph variants of one precision. */
export interface Plans {
  /** Accepts any rows: inputs as saved. */
  full: VariantGraph
  /** Split by side, or the reason why not. */
  split: SplitGraphs | string
}

export interface CompiledGraph {
  passes: PassReport[]
  float32: Plans
  /** If it was requested and is possible. */
  int8: (Plans & { effort: Effort; verdict: Verdict | undefined; passes: PassReport[] }) | undefined
  /** Why int8 is missing, if it was requested. */
  int8Problem: string | undefined
}
