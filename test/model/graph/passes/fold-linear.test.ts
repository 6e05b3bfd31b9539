import t from 'tap'
import { multiplicationsOf } from '../../../../src/model/graph/compile/optimise.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { canonicalise } from '../../../../src/model/graph/passes/canonicalise.ts'
import { foldLinear, multiply } from '../../../../src/model/graph/passes/fold-linear.ts'
import { foldNormalisation } from '../../../../src/model/graph/passes/fold-normalisation.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { applied, assertLaw, breachOf, prepared, smallGraph } from '../../../support/compile/law.ts'
import { randomGraph } from '../../../support/compile/random-graph.ts'
import { answerWith, emptyGraph, operatorsOf } from '../../../support/compile/run-graph.ts'

const dice = new Dice(3)
const fold = (graph: Graph) => foldLinear(graph, new Map())
const earlier = [canonicalise, foldNormalisation]
const gemm = (graph: Graph, x: string, k: number, n: number, bias = true) => {
  const inputs = [x, graph.constant('kernel', dice.floats(k * n), [k, n])]
  if (bias) inputs.push(graph.constant('bias', dice.floats(n), [n]))
  return graph.node('Gemm', inputs)
}
const concat = (graph: Graph, ...parts: string[]) => graph.node('Concat', parts, { attributes: { axis: 1 } })

t.test('changes no answer, whatever the graph', () => assertLaw(randomGraph, fold, { earlier }))

t.test('changes no answer of products after products, and never takes more multiplications', async () => {
  await assertLaw(
    productsAfterProducts,
    async (graph) => {
      const before = multiplicationsOf(graph)
      fold(graph)
      if (multiplicationsOf(graph) > before)
        throw new Error(`${multiplicationsOf(graph)} multiplications, not ${before}`)
    },
    { earlier },
  )
})

/** Products, some side by side, in the way of others; several are outputs. */
function productsAfterProducts(seed: number): Graph {
  const random = new Dice(seed)
  const graph = emptyGraph({ x: floatShape(-1, 4), y: floatShape(-1, 3) })
  const known = [
    { name: 'x', n: 4 },
    { name: 'y', n: 3 },
  ]
  for (let step = 0; step < 8; step++) {
    const parts = Array.from({ length: random.between(1, 3) }, () => random.pick(known.slice(-4)))
    const n = parts.reduce((sum, part) => sum + part.n, 0)
    const name =
      parts.length > 1 || random.chance(0.2) ? concat(graph, ...parts.map(({ name }) => name)) : parts[0]!.name
    if (random.chance(0.2)) known.push({ name, n })
    const width = random.between(1, 8)
    known.push({ name: gemm(graph, name, n, width, random.chance(0.6)), n: width })
  }
  const outputs = known.slice(2).filter(({ name }) => graph.users(name).length === 0 || random.chance(0.15))
  answerWith(graph, ...new Set(outputs.map(({ name }) => name)))
  return graph
}

t.test('folds the projection of dense features into every layer that reads them', async (t) => {
  const graph = await prepared(
    smallGraph((g) => {
      const features = concat(g, 'x', gemm(g, 'y', 6, 24, false))
      return [gemm(g, features, 30, 5), gemm(g, features, 30, 3)].map((name) => g.node('Relu', [name]))
    }),
  )
  const before = multiplicationsOf(graph)
  t.equal(before, 6 * 24 + 30 * 8)
  t.equal(await breachOf(graph, fold, 1), undefined)
  t.equal(operatorsOf(graph), 'Concat Gemm Relu Gemm Relu')
  t.equal(multiplicationsOf(graph), 12 * 8)
})

t.test('folds a chain into one product', async (t) => {
  const graph = await prepared(smallGraph((g) => gemm(g, gemm(g, gemm(g, gemm(g, 'x', 6, 9), 9, 8), 8, 9), 9, 4)))
  t.equal(await breachOf(graph, (g) => t.same(applied(g, foldLinear), { changes: 3, reasons: [] }), 1), undefined)
  t.equal(operatorsOf(graph), 'Gemm')
})

t.test('folds what stands in a Concat twice', async (t) => {
  const graph = await prepared(
    smallGraph((g) => {
      const wide = gemm(g, 'x', 6, 20)
      return g.node('Relu', [gemm(g, concat(g, wide, 'y', wide), 46, 3)])
    }),
  )
  t.equal(await breachOf(graph, fold, 1), undefined)
  t.equal(operatorsOf(graph), 'Concat Gemm Relu')
})

const kept: Record<string, [(graph: Graph) => string | string[], string[]]> = {
  'a bottleneck': [
    (g) => gemm(g, gemm(g, 'x', 6, 1), 1, 6),
    ['Gemm: the folded product would take 36 multiplications per row instead of 12'],
  ],
  'a product that is an output itself, where that does not pay': [
    (g) => {
      const inner = gemm(g, 'x', 6, 6)
      return [inner, gemm(g, inner, 6, 4)]
    },
    ['Gemm: the folded product would take 24 multiplications per row instead of 24'],
  ],
  'a product that something else reads': [
    (g) => {
      const inner = gemm(g, 'x', 6, 5)
      return [g.node('Relu', [inner]), gemm(g, concat(g, inner, 'y'), 11, 4)]
    },
    ['Gemm: the folded product would take 24 multiplications per row instead of 20'],
  ],
  'products with an activation between them': [(g) => gemm(g, g.node('Relu', [gemm(g, 'x', 6, 9)]), 9, 2), []],
  'a Concat of rows below each other': [
    (g) =>
      g.node(
        'Concat',
        [gemm(g, 'x', 6, 9), 'y'].map((name) => g.node('Reshape', [name, g.integers([-1, 3])])),
        { attributes: { axis: 0 } },
      ),
    [],
  ],
}
for (const [name, [write, reasons]] of Object.entries(kept))
  t.test(`leaves alone ${name}`, async (t) => {
    const graph = await prepared(smallGraph(write))
    const before = operatorsOf(graph)
    t.equal(await breachOf(graph, (g) => t.same(applied(g, foldLinear), { changes: 0, reasons }), 1), undefined)
    t.equal(operatorsOf(graph), before)
  })

t.test('multiplies in double precision', (t) => {
  t.same([...multiply(Float32Array.of(1, 2, 3, 4, 5, 6), Float32Array.of(1, 0, 2, 1, 0, 3), 2, 3, 2)], [5, 11, 14, 23])
  t.equal(multiply(Float32Array.of(2 ** 24, 1), Float32Array.of(1, 1), 1, 2, 1)[0], 2 ** 24 + 1)
  t.end()
})
