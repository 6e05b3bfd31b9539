import t from 'tap'
import { passes } from '../../../../src/model/graph/compile/optimise.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { mergeChains } from '../../../../src/model/graph/passes/merge-chains.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { applied, assertLaw, breachOf, prepared, smallGraph } from '../../../support/compile/law.ts'
import { randomGraph } from '../../../support/compile/random-graph.ts'
import { operatorsOf } from '../../../support/compile/run-graph.ts'

const dice = new Dice(5)
const earlier = passes.flatMap(([name, pass]) => (name === 'merge chains' ? [] : [pass]))
const gemm = (graph: Graph, x: string, k: number, n: number) =>
  graph.node('Gemm', [
    x,
    graph.constant('kernel', dice.floats(k * n), [k, n]),
    graph.constant('bias', dice.floats(n), [n]),
  ])
const split = (graph: Graph, name: string, ...sizes: number[]) => [
  ...graph.nodeOf('Split', [name, graph.integers(sizes)], sizes.length, { attributes: { axis: 1 } }),
]
const relu = (graph: Graph, name: string) => graph.node('Relu', [name])
const tanh = (graph: Graph, name: string) => graph.node('Tanh', [name])

t.test('changes no answer, whatever the graph', () =>
  assertLaw(randomGraph, (g) => mergeChains(g, new Map()), { earlier }),
)

/** Each: what is written, how many products are merged, and the operators that are left. */
const merged: Record<string, [(graph: Graph) => string[], number, string]> = {
  'products of all parts': [
    (g) => split(g, 'x', 2, 4).map((part, i) => tanh(g, gemm(g, part, [2, 4][i]!, 3))),
    2,
    'Gemm Split Tanh Tanh',
  ],
  'whole chains': [
    (g) =>
      split(g, 'x', 2, 2, 2).map((part) =>
        tanh(g, gemm(g, relu(g, gemm(g, relu(g, gemm(g, part, 2, 3)), 3, 4)), 4, 1)),
      ),
    9,
    'Gemm Relu Gemm Relu Gemm Split Tanh Tanh Tanh',
  ],
  'what is activated after it was split': [
    (g) => split(g, 'x', 3, 3).map((part) => tanh(g, gemm(g, relu(g, part), 3, 2))),
    2,
    'Relu Gemm Split Tanh Tanh',
  ],
  'products of all parts that are used': [
    (g) => {
      const [first, , last] = split(g, 'x', 1, 3, 2)
      return [tanh(g, gemm(g, first!, 1, 2)), tanh(g, gemm(g, last!, 2, 2))]
    },
    2,
    'Gemm Split Tanh Tanh',
  ],
  'chains that end in outputs': [
    (g) => split(g, 'x', 3, 3).map((part) => relu(g, gemm(g, part, 3, 2))),
    2,
    'Gemm Relu Split',
  ],
}
for (const [name, [write, changes, operators]] of Object.entries(merged))
  t.test(`merges ${name}`, async (t) => {
    const graph = await prepared(smallGraph(write))
    t.equal(await breachOf(graph, (g) => t.equal(applied(g, mergeChains).changes, changes), 1), undefined)
    t.equal(operatorsOf(graph), operators)
  })

const kept: Record<string, (graph: Graph) => string[]> = {
  'a part that something else reads': (g) => {
    const [first, second] = split(g, 'x', 3, 3)
    return [tanh(g, gemm(g, first!, 3, 2)), tanh(g, gemm(g, second!, 3, 2)), tanh(g, first!)]
  },
  'a part that is an output': (g) => {
    const [first, second] = split(g, 'x', 3, 3)
    return [first!, tanh(g, gemm(g, first!, 3, 2)), tanh(g, gemm(g, second!, 3, 2))]
  },
  'a part with something else after it': (g) => {
    const [first, second] = split(g, 'x', 3, 3)
    return [tanh(g, gemm(g, first!, 3, 2)), tanh(g, second!)]
  },
  'a product that is an output': (g) => split(g, 'x', 3, 3).map((part) => gemm(g, part, 3, 2)),
  'products of which one is activated': (g) => {
    const [first, second] = split(g, 'x', 3, 3)
    return [relu(g, gemm(g, first!, 3, 2)), tanh(g, gemm(g, second!, 3, 2))]
  },
  'parts of which one is activated': (g) => {
    const [first, second] = split(g, 'x', 3, 3)
    return [tanh(g, gemm(g, relu(g, first!), 3, 2)), tanh(g, gemm(g, second!, 3, 2))]
  },
  'one product alone': (g) => [tanh(g, gemm(g, split(g, 'x', 3, 3)[1]!, 3, 2))],
  'parts below each other': (g) => {
    const [first, second] = g.nodeOf('Split', [g.constant('rows', dice.floats(12), [2, 6]), g.integers([1, 1])], 2, {
      attributes: { axis: 0 },
    })
    return [first!, second!].map((row) => tanh(g, gemm(g, g.node('Add', ['x', row]), 6, 2)))
  },
}
for (const [name, write] of Object.entries(kept))
  t.test(`leaves alone ${name}`, async (t) => {
    const graph = await prepared(smallGraph(write))
    const before = operatorsOf(graph)
    t.equal(await breachOf(graph, (g) => t.equal(applied(g, mergeChains).changes, 0), 1), undefined)
    t.equal(operatorsOf(graph), before)
  })

t.test('leaves alone products so large that most of the merged one would be for nothing, and says so', async (t) => {
  const graph = await prepared(
    smallGraph((g) => {
      const wide = g.node(
        'Concat',
        Array.from({ length: 20 }, () => 'x'),
        { attributes: { axis: 1 } },
      )
      return split(g, wide, 60, 60).map((part) => tanh(g, gemm(g, part, 60, 60)))
    }),
  )
  t.same(applied(graph, mergeChains), {
    changes: 0,
    reasons: ['Split: one product of its parts would be 120×120, with only 7200 useful multiplications'],
  })
})
