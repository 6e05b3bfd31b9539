import type { CompiledPlan, Precision } from '../contracts/compiled-plan.ts'
import type { GraphSource } from '../contracts/engine.ts'
import type { JudgedRows } from './int8/judge.ts'
import type { InputRows } from './int8/observe-ranges.ts'
import type { FieldIds } from './int8/quantised-table.ts'
import type { Sides } from './sides/contract.ts'

export interface PrepareRequest {
  source: GraphSource
  /** The output that is compiled: probabilities. */
  output: string
  sides: Sides | undefined
  fields: Record<string, FieldIds[]>
  precision: Precision
  quantization: { scales: InputRows; judged: JudgedRows } | undefined
  /** What identifies the graph's and the quantization rows' files: their checksums. */
  identity: string
  /** Folder of compiled plans; undefined for none. */
  cache: string | undefined
  now: number
}

export interface Prepared {
  /** undefined where the graph is left alone. */
  plan: CompiledPlan | undefined
  /** Why it is left alone. */
  problem: string | undefined
  /** What did not hinder, but should be known. */
  warnings: string[]
}
