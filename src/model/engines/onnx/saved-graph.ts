import type { CompiledPlan } from '../../contracts/compiled-plan.ts'
import type { LoadedGraph } from '../../contracts/engine.ts'
import { zeros } from '../../plan/measure-variants.ts'
import type { SavedGraph } from '../../plan/open-plan.ts'

/** Most constants, bytes, of a saved graph that is opened only to be timed. */
const mostTimed = 64 * 2 ** 20

/**
 * The graph that a plan was compiled from, to be timed beside it. Undefined where it is large, or fails: the plan doesn't need
 * it. Never rejects.
 */
export async function savedGraph(
  { description: { output, passes } }: Pick<CompiledPlan, 'description'>,
  load: () => Promise<LoadedGraph>,
): Promise<SavedGraph | undefined> {
  if ((passes[0]?.bytes ?? 0) > mostTimed) return undefined
  const graph = await load().catch(() => undefined)
  if (graph === undefined) return undefined
  const saved: SavedGraph = {
    context: [],
    rows: graph.signature.inputs.map(({ name, width, dtype }) => ({ input: name, width, type: dtype })),
    byRequest: false,
    mostRows: Number.POSITIVE_INFINITY,
    cost: { a: 0, b: 0, joined: { a: 0, b: 0 } },
    run: (batch) => graph.run(batch, [output]),
    close: () => graph.close(),
  }
  try {
    await saved.run(zeros(saved, 1), [])
    return saved
  } catch {
    await saved.close()
    return undefined
  }
}
