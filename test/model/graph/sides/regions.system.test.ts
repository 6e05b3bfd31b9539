import t from 'tap'
import { compile } from '../../../../src/model/graph/compile/compile.ts'
import { optimise } from '../../../../src/model/graph/compile/optimise.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { splitSides } from '../../../../src/model/graph/sides/split-sides.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared } from '../../../support/compile/law.ts'
import { randomTowers } from '../../../support/compile/random-towers.ts'
import { answerWith, emptyGraph, inputRowsOf } from '../../../support/compile/run-graph.ts'
import { breachOfPlans } from '../../../support/compile/run-plan.ts'

t.test('answers the same where users and candidates have towers of their own', async (t) => {
  const runs = randomCases(150)
  const found = { context: 0, candidate: 0, both: 0 }
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const towers = randomTowers(seed)
      const graph = await prepared(towers.graph)
      await optimise(graph)
      const before = graph.toBytes()
      const plans = splitSides(graph, towers.sides)
      if (!Buffer.from(before).equals(graph.toBytes())) throw new Error('the graph itself was changed')
      if (typeof plans === 'string') {
        if (!/^every field belongs|^no field belongs|^no product of features/.test(plans)) throw new Error(plans)
        return
      }
      const breach = await breachOfPlans(graph, towers.sides, plans, new Dice(seed))
      if (breach !== undefined) throw new Error(breach)
      found.context += Number(plans.layers.some(({ kept, context }) => !kept && context >= 0))
      found.candidate += Number(plans.layers.some(({ kept, context }) => kept && context < 0))
      found.both += Number(plans.layers.some(({ kept, context }) => kept && context >= 0))
    }),
    { numRuns: runs, seed: steadySeed },
  )
  t.ok(found.context > runs / 8 && found.candidate > runs / 8 && found.both > runs / 4, JSON.stringify(found))
})

t.test('in int8 a row has one answer, however it is computed', async (t) => {
  const runs = randomCases(60)
  let compiled = 0
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const dice = new Dice(seed)
      const { graph, sides } = randomTowers(seed, { activations: ['Relu', 'Relu', 'Relu', 'Tanh'] })
      const read = await prepared(graph)
      const { float32, int8, int8Problem } = await compile(read, {
        sides,
        fields: {},
        quantization: { scales: inputRowsOf(read, 60, dice), judged: undefined },
      })
      if (int8 === undefined) {
        if (!/^no hidden layer|^no product of features/.test(int8Problem!)) throw new Error(int8Problem)
        return
      }
      if (typeof int8.split === 'string') return
      compiled++
      const breach = await breachOfPlans(float32.full.graph, sides, int8.split, dice, int8.full)
      if (breach !== undefined) throw new Error(breach)
    }),
    { numRuns: runs, seed: steadySeed },
  )
  t.ok(compiled > runs / 3, `${compiled} graphs`)
})

t.test('keeps what is cheaper to read back than to compute', async (t) => {
  const edges: Record<string, [(g: Graph, x: string) => string, number[]]> = {
    'no wide product of few numbers': [(g, x) => gemm(g, x, 4, 64), []],
    'the end of narrow layers': [(g, x) => g.node('Relu', [gemm(g, g.node('Relu', [gemm(g, x, 4, 64)]), 64, 8)]), [8]],
    'what wide values are made of': [
      (g, x) => {
        const hidden = g.node('Tanh', [gemm(g, x, 4, 24)])
        const [column, row] = [
          [24, 1],
          [1, 24],
        ].map((dims) => g.node('Reshape', [hidden, g.integers([-1, ...dims])]))
        return g.node('Reshape', [g.node('Mul', [column!, row!]), g.integers([-1, 24 * 24])])
      },
      [24],
    ],
  }
  for (const [name, [write, widths]] of Object.entries(edges)) {
    const graph = emptyGraph({ x: floatShape(-1, 4), y: floatShape(-1, 1) })
    answerWith(graph, scaled(graph, write(graph, 'x')))
    const plans = splitSides(await prepared(graph), { x: new Array(4).fill('candidate'), y: ['cross'] })
    if (typeof plans === 'string') throw new Error(plans)
    t.same(
      plans.layers.map(({ width }) => width),
      widths,
      name,
    )
  }
})

/** Something that reads the cross column too, and no product. */
function scaled(graph: Graph, x: string): string {
  return graph.node('Sigmoid', [graph.node('Mul', [x, 'y'])])
}

function gemm(graph: Graph, x: string, k: number, n: number): string {
  return graph.node('Gemm', [x, graph.constant('kernel', new Dice(1).floats(k * n), [k, n])])
}
