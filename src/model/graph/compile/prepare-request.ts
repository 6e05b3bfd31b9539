import type { TableFormat } from '../../../schemas/precision.ts'
import type { CompiledPlan, Precision } from '../../contracts/compiled-plan.ts'
import type { GraphSource } from '../../contracts/engine.ts'
import type { ListColumns } from '../../contracts/list-length.ts'
import type { LiveColumns } from '../../contracts/live-tables.ts'
import type { JudgedRows } from '../int8/judge.ts'
import type { InputRows } from '../int8/observe-ranges.ts'
import type { FieldIds } from '../int8/quantised-table.ts'
import type { Sides } from '../sides/split-graphs.ts'

export interface PrepareRequest {
  source: GraphSource
  /** The output that is compiled: the probabilities. */
  output: string
  sides: Sides | undefined
  fields: Record<string, FieldIds[]>
  /** The lists among the columns of its inputs; default: none. */
  lists?: readonly ListColumns[]
  /** `auto`: the fastest on this machine of those that clearly pass their check. */
  precision: Precision | 'auto'
  /** Takes float32 where the precision is no faster on this machine. */
  onlyIfFaster?: boolean
  /** The format of the rows of large tables; default: float32. */
  tables?: TableFormat | undefined
  /** Columns whose table rows may change while the plan is served; of float32 alone. */
  live?: LiveColumns | undefined
  quantization: { scales: InputRows; judged: JudgedRows } | undefined
  /** Checksums of the files of the graph and of the quantization rows. */
  identity: string
  /** Folder of compiled plans; undefined for no cache. */
  cache: string | undefined
  /** Most that they may take, bytes; 0 or undefined: no limit. */
  cacheBytes?: number | undefined
  now: number
}

/** A request with the precision that the compiler works for. */
export interface BuildRequest extends PrepareRequest {
  precision: Precision
}

export interface Prepared {
  /** undefined if the graph is served as saved. */
  plan: CompiledPlan | undefined
  /** Why it is served as saved. */
  problem: string | undefined
  /** Why no folder could take the plan, and what follows; undefined where that is not the problem. */
  unstored?: string | undefined
  /** Problems that did not prevent compilation. */
  warnings: string[]
}
