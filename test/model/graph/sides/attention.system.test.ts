import t from 'tap'
import { compile } from '../../../../src/model/graph/compile/compile.ts'
import { changeEach } from '../../../../src/model/graph/compile/compiled-graph.ts'
import { optimise } from '../../../../src/model/graph/compile/optimise.ts'
import { logitsOf } from '../../../../src/model/graph/int8/judge.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { joinPairProducts } from '../../../../src/model/graph/sides/pair-products.ts'
import type { SplitGraphs } from '../../../../src/model/graph/sides/split-graphs.ts'
import { splitSides } from '../../../../src/model/graph/sides/split-sides.ts'
import { fullVariant } from '../../../../src/model/graph/sides/tensor-names.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared } from '../../../support/compile/law.ts'
import { attentions, randomAttention } from '../../../support/compile/random-attention.ts'
import { answersOf, differenceOf, feedsOf, inputRowsOf } from '../../../support/compile/run-graph.ts'
import { breachOfPlans, withCutLists } from '../../../support/compile/run-plan.ts'

t.test('answers the same where candidates attend to the history of a context', async (t) => {
  const runs = randomCases(120, 20)
  const split = new Map<string, number>()
  let joins = 0
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
        (await breachOfPlans(graph, sides, short as SplitGraphs, dice, undefined, { lists })) ??
        (await breachOfPlans(graph, sides, { ...plans, shared_context: full, cached: undefined }, dice, undefined, {
          lists,
        }))
      if (broken !== undefined) throw new Error(`${kind}, lists cut: ${broken}`)
      const joined = changeEach({ full, split: short }, joinPairProducts).split as SplitGraphs
      const apart = await breachOfPlans(graph, sides, joined, dice, undefined, { lists })
      if (apart !== undefined) throw new Error(`${kind}, pairs joined: ${apart}`)
      joins += Number(joined.shared_context?.oneRequest === true && joined.cached?.oneRequest === true)
      if (kind !== 'last item' && left.size > 0) throw new Error(`${kind}: ${JSON.stringify([...left])}`)
      split.set(kind, (split.get(kind) ?? 0) + 1)
    }),
    { numRuns: runs, seed: steadySeed },
  )
  for (const kind of attentions) t.ok(split.get(kind)! > runs / 10, `${kind}: ${split.get(kind)}`)
  t.ok(joins > runs / 20, `${joins} join the products of pairs`)
})

t.test('answers the same in int8, near those of float32', async (t) => {
  const runs = randomCases(90, 15)
  const compiled = new Map<string, number>()
  let [equal, rounding, cutting, joining] = [0, 0, 0, 0]
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const dice = new Dice(seed)
      const { graph: written, sides, kind, lists } = randomAttention(dice, 16)
      const graph = await prepared(written)
      const scales = inputRowsOf(graph, 200, dice)
      const quantization = { scales, judged: undefined }
      const { float32, int8, int8Problem } = await compile(graph, { sides, fields: {}, quantization })
      // As where the last layers have another activation.
      if (int8Problem?.startsWith('no hidden layer')) return
      const split = int8?.split
      if (split === undefined || typeof split === 'string') throw new Error(`${kind}: ${split ?? int8Problem}`)
      const rounded = await logitsOf(int8!.full, scales)
      const apart = partApart(await logitsOf(float32.full, scales), rounded)
      if (!(apart < 0.02)) throw new Error(`${kind}: ${apart} of their range from float32`)
      // A last bit of a value that was computed in float32 may decide between two bytes.
      const breachWithin = (tolerance?: number) =>
        breachOfPlans(graph, sides, split, new Dice(seed), int8!.full, tolerance === undefined ? {} : { tolerance })
      const short = withCutLists({ full: int8!.full, split }, lists, new Map()).split as SplitGraphs
      const ofShort = { lists, tolerance: 0.02 }
      const breach =
        (await breachWithin(0.02)) ?? (await breachOfPlans(graph, sides, short, new Dice(seed), int8!.full, ofShort))
      if (breach !== undefined) throw new Error(`${kind}: ${breach}`)
      equal += Number((await breachWithin()) === undefined)
      rounding += Number(roundsLists(int8!.full.graph))
      cutting += Number(short.shared_context?.lists !== undefined)
      joining += Number(split.shared_context?.oneRequest === true && !addsToPairs(split.shared_context.graph))
      compiled.set(kind, (compiled.get(kind) ?? 0) + 1)
    }),
    { numRuns: runs, seed: steadySeed },
  )
  for (const kind of attentions) t.ok(compiled.get(kind)! > runs / 20, `${kind}: ${compiled.get(kind)}`)
  t.ok(equal > runs / 2 && rounding > runs / 5, `${equal} are equal, ${rounding} round lists`)
  t.ok(cutting > runs / 2 && joining > runs / 30, `${cutting} cut lists, ${joining} join the products of pairs`)
})

/** The median difference, as a part of the range of values. */
function partApart(values: Float32Array, others: Float32Array): number {
  const apart = values.map((value, i) => Math.abs(value - others[i]!)).sort()
  return apart[Math.floor(apart.length / 2)]! / (Math.max(...values) - Math.min(...values))
}

/** Whether a graph rounds the items of a list. */
function roundsLists({ nodes, shapes }: Graph): boolean {
  return nodes.some(({ opType, output }) => opType === 'QuantizeLinear' && shapes.get(output[0]!)!.dims[0]! < -1)
}

/** Whether a graph adds something to each pair of a candidate and an item. */
function addsToPairs({ nodes, shapes }: Graph): boolean {
  const isOfPairs = ([first, second, ...more]: readonly number[]) => first === -1 && second! > 1 && more.length === 1
  return nodes.some(({ opType, output }) => opType === 'Add' && isOfPairs(shapes.get(output[0]!)?.dims ?? []))
}

/** Whether a graph repeats a list, and not only what was made of one. */
function repeatsLists({ nodes, shapes }: Graph): boolean {
  return nodes.some(({ opType, output }) => opType === 'Expand' && shapes.get(output[0]!)!.dims.length > 2)
}
