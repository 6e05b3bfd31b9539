import { reasonOf } from '../../base/errors.ts'
import type { NarrowFormat, TableRows } from '../../contracts/compiled-plan.ts'
import type { Graph } from '../../graph/graph.ts'
import { tooFew } from '../int8/different-rows.ts'
import { compareLogits, type JudgedRows, logitsOf } from '../int8/judge.ts'
import { fullVariant } from '../sides/full-variant.ts'
import { type CompiledGraph, changeEach } from '../store/compiled-graph.ts'
import { createNarrower } from './narrow-look-ups.ts'

export interface NarrowOptions {
  format: NarrowFormat
  /** Rows that evaluate the format; without them it is refused. */
  judged: JudgedRows | undefined
}

/**
 * The compiled graphs with their large tables in a narrow format, if its answers pass the check of int8; else the same graphs,
 * and why. `graph` is the optimised one, whose tables are not live: rows of overlays stay float32 in any case.
 *
 * Narrow rows are the same on every machine, and what is computed from them is float32: so one check is enough.
 */
export async function narrowPlans(
  graph: Graph,
  compiled: CompiledGraph,
  { format, judged }: NarrowOptions,
): Promise<CompiledGraph> {
  const refuse = (problem: string, verdict?: TableRows['verdict']): CompiledGraph => ({
    ...compiled,
    tableRows: { format: 'float32', problem, ...(verdict && { verdict }) },
  })
  if (judged === undefined) return refuse(`the version has no quantization rows to evaluate ${format} tables with`)
  const few = tooFew(judged)
  if (few !== undefined) return refuse(`half of the quantization rows evaluate ${format} tables: ${few}`)
  const narrower = createNarrower(format)
  try {
    const exact = fullVariant(graph)
    const narrow = narrower.narrow(exact)
    if (narrower.tables === 0) return refuse('the graph has no large table that is read by look-ups alone')
    const verdict = compareLogits(await logitsOf(exact, judged), await logitsOf(narrow, judged), judged)
    if (!verdict.passed) return refuse(verdict.reasons.join('; '), verdict)
    const { float32, int8 } = compiled
    return {
      ...compiled,
      tableRows: { format, verdict },
      float32: changeEach(float32, narrower.narrow),
      int8: int8 && { ...int8, ...changeEach(int8, narrower.narrow) },
      ...(int8 && { reference: float32.full }),
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw error
    return refuse(reasonOf(error))
  }
}
