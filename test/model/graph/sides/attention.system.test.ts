import t from 'tap'
import { optimise } from '../../../../src/model/graph/compile/optimise.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import type { SplitGraphs } from '../../../../src/model/graph/sides/split-graphs.ts'
import { splitSides } from '../../../../src/model/graph/sides/split-sides.ts'
import { fullVariant } from '../../../../src/model/graph/sides/tensor-names.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared } from '../../../support/compile/law.ts'
import { attentions, randomAttention } from '../../../support/compile/random-attention.ts'
import { answersOf, differenceOf, feedsOf } from '../../../support/compile/run-graph.ts'
import { breachOfPlans, withCutLists } from '../../../support/compile/run-plan.ts'

t.test('answers the same where candidates attend to the history of a context', async (t) => {
  const runs = randomCases(120)
  const split = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const dice = new Dice(seed)
      const { graph: written, sides, kind, lists } = randomAttention(dice)
      const graph = await prepared(written)
      const feeds = feedsOf(graph, 5, dice)
      const expected = await answersOf(graph, [feeds])
      await optimise(graph)
      const changed = differenceOf(expected, await answersOf(graph, [feeds]))
      if (changed) throw new Error(`${kind}, optimised: ${changed}`)
      const plans = splitSides(graph, sides)
      if (typeof plans === 'string') throw new Error(`${kind}: ${plans}`)
      const breach = await breachOfPlans(graph, sides, plans, dice)
      if (breach !== undefined) throw new Error(`${kind}: ${breach}`)
      // Self-attention joins the history and the candidate to one list.
      if (kind !== 'last item' && repeatsLists(plans.shared_context!.graph))
        throw new Error(`${kind} repeats the history`)
      const left = new Map<string, string>()
      const { full, split: short } = withCutLists({ full: fullVariant(graph), split: plans }, lists, left)
      const broken =
        (await breachOfPlans(graph, sides, short as SplitGraphs, dice, undefined, lists)) ??
        (await breachOfPlans(
          graph,
          sides,
          { ...plans, shared_context: full, cached: undefined },
          dice,
          undefined,
          lists,
        ))
      if (broken !== undefined) throw new Error(`${kind}, lists cut: ${broken}`)
      if (kind !== 'last item' && left.size > 0) throw new Error(`${kind}: ${JSON.stringify([...left])}`)
      split.set(kind, (split.get(kind) ?? 0) + 1)
    }),
    { numRuns: runs, seed: steadySeed },
  )
  for (const kind of attentions) t.ok(split.get(kind)! > runs / 10, `${kind}: ${split.get(kind)}`)
})

/** Whether a graph repeats a list, and not only what was made of one. */
function repeatsLists({ nodes, shapes }: Graph): boolean {
  return nodes.some(({ opType, output }) => opType === 'Expand' && shapes.get(output[0]!)!.dims.length > 2)
}
