import t from 'tap'
import { multiplicationsOf } from '../../../../src/model/graph/compile/optimise.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { canonicalise } from '../../../../src/model/graph/passes/canonicalise.ts'
import { foldNormalisation } from '../../../../src/model/graph/passes/fold-normalisation.ts'
import { mergeSiblings } from '../../../../src/model/graph/passes/merge-siblings.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { applied, assertLaw, breachOf, prepared, smallGraph } from '../../../support/compile/law.ts'
import { randomGraph } from '../../../support/compile/random-graph.ts'
import { operatorsOf } from '../../../support/compile/run-graph.ts'

const dice = new Dice(4)
const earlier = [canonicalise, foldNormalisation]
const gemm = (graph: Graph, x: string, n: number, bias = true, k = 6) => {
  const inputs = [x, graph.constant('kernel', dice.floats(k * n), [k, n])]
  if (bias) inputs.push(graph.constant('bias', dice.floats(n), [n]))
  return graph.node('Gemm', inputs)
}
const relu = (graph: Graph, name: string) => graph.node('Relu', [name])
const tanh = (graph: Graph, name: string) => graph.node('Tanh', [name])

t.test('changes no answer, whatever the graph', () =>
  assertLaw(randomGraph, (g) => mergeSiblings(g, new Map()), { earlier }),
)

/** Each: what is written, how many products are merged, and the operators that are left. */
const graphs: Record<string, [(graph: Graph) => string[], number, string]> = {
  'products with a ReLU, which are activated at once': [
    (g) => [4, 1, 3].map((n) => tanh(g, relu(g, gemm(g, 'x', n)))),
    3,
    'Gemm Relu Split Tanh Tanh Tanh',
  ],
  'products without one, and without a bias': [
    (g) => [4, 1, 3].map((n, i) => tanh(g, gemm(g, 'x', n, i === 1))),
    3,
    'Gemm Split Tanh Tanh Tanh',
  ],
  'each kind for itself': [
    (g) => [relu(g, gemm(g, 'x', 2)), tanh(g, gemm(g, 'x', 2)), relu(g, gemm(g, 'x', 2)), tanh(g, gemm(g, 'x', 2))],
    4,
    'Gemm Relu Split Gemm Split Tanh Tanh',
  ],
  "each input's for itself": [
    (g) => ['x', 'y', 'x', 'y'].map((x) => tanh(g, gemm(g, x, 2))),
    4,
    'Gemm Split Tanh Gemm Split Tanh Tanh Tanh',
  ],
  'what has two readers': [
    (g) => {
      const first = gemm(g, 'x', 2)
      return [relu(g, first), tanh(g, first), tanh(g, gemm(g, 'x', 3))]
    },
    2,
    'Gemm Split Relu Tanh Tanh',
  ],
  'ReLUs that are outputs and read by others': [
    (g) => {
      const first = relu(g, gemm(g, 'x', 2))
      return [first, relu(g, gemm(g, 'x', 3)), tanh(g, first)]
    },
    2,
    'Gemm Relu Split Tanh',
  ],
  'products up to so many columns at once': [
    (g) => Array.from({ length: 6 }, () => tanh(g, gemm(g, 'x', 100))),
    5,
    'Gemm Split Tanh Tanh Tanh Tanh Tanh Gemm Tanh',
  ],
}
for (const [name, [write, changes, operators]] of Object.entries(graphs))
  t.test(`merges ${name}`, async (t) => {
    const graph = await prepared(smallGraph(write))
    const before = multiplicationsOf(graph)
    t.equal(await breachOf(graph, (g) => t.equal(applied(g, mergeSiblings).changes, changes), 1), undefined)
    t.equal(operatorsOf(graph), operators)
    t.equal(multiplicationsOf(graph), before)
  })

t.test('merges products of several rows a row of the batch', async (t) => {
  const graph = await prepared(
    smallGraph((g) => {
      const rows = g.node('Reshape', ['x', g.integers([-1, 3])])
      return [2, 5].map((n) => tanh(g, gemm(g, rows, n, true, 3)))
    }),
  )
  t.equal(await breachOf(graph, (g) => mergeSiblings(g, new Map()), 1), undefined)
  t.equal(operatorsOf(graph), 'Reshape Gemm Split Tanh Tanh')
})

t.test('leaves wide products alone, and says so', async (t) => {
  const graph = await prepared(
    smallGraph((g) => [tanh(g, gemm(g, 'x', 130)), tanh(g, gemm(g, 'x', 129)), tanh(g, gemm(g, 'y', 140))]),
  )
  const reasons = [130, 129].map((n) => `Gemm: with ${n} columns merging makes it no faster`)
  t.same(applied(graph, mergeSiblings), { changes: 0, reasons })
})

t.test('leaves alone products that are outputs, and one by itself', async (t) => {
  const graph = await prepared(smallGraph((g) => [gemm(g, 'x', 3), gemm(g, 'x', 2), tanh(g, gemm(g, 'x', 2))]))
  t.same(applied(graph, mergeSiblings), { changes: 0, reasons: [] })
  t.equal(operatorsOf(graph), 'Gemm Gemm Gemm Tanh')
})
