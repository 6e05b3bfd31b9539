import type { Effort, PassReport, Verdict } from '../../contracts/compiled-plan.ts'
import type { SplitGraphs, VariantGraph } from '../sides/contract.ts'

/** The plans of one precision. */
export interface Plans {
  /** Any rows: inputs as saved. */
  full: VariantGraph
  /** By side, or the reason why not. */
  split: SplitGraphs | string
}

export interface CompiledGraph {
  passes: PassReport[]
  float32: Plans
  /** If it was asked for and can be computed. */
  int8: (Plans & { effort: Effort; verdict: Verdict | undefined; passes: PassReport[] }) | undefined
  /** Why there is no int8, where it was asked for. */
  int8Problem: string | undefined
}
