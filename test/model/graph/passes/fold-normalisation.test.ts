import t from 'tap'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { canonicalise } from '../../../../src/model/graph/passes/canonicalise.ts'
import { foldNormalisation } from '../../../../src/model/graph/passes/fold-normalisation.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { applied, assertLaw, breachOf, prepared, smallGraph } from '../../../support/compile/law.ts'
import { randomGraph } from '../../../support/compile/random-graph.ts'
import { answerWith, emptyGraph, operatorsOf } from '../../../support/compile/run-graph.ts'
import { Writer } from '../../../support/compile/writer.ts'

const dice = new Dice(2)
const fold = (graph: Graph) => foldNormalisation(graph, new Map())
const vector = (graph: Graph, ...dims: number[]) =>
  graph.constant('vector', dice.floats(dims.reduce((size, side) => size * side, 1)), dims)
const gemm = (graph: Graph, x: string, k: number, n: number) =>
  graph.node('Gemm', [x, vector(graph, k, n), vector(graph, n)])

t.test('changes no answer, whatever the graph', () => assertLaw(randomGraph, fold, { earlier: [canonicalise] }))

t.test('leaves no normalisation in a network of layers, wherever it stands', async (t) => {
  for (let seed = 0; seed < 30; seed++) {
    const random = new Dice(seed)
    const graph = emptyGraph({ x: floatShape(-1, 4) })
    const write = new Writer(graph, random)
    let x = { name: 'x', n: 4 }
    for (let layer = 0; layer < 3; layer++) {
      if (random.chance(0.3)) x = write.norm(x)
      x = write.norm(write.dense(x, random.between(1, 5)))
      x = { name: graph.node('Relu', [x.name]), n: x.n }
      if (random.chance(0.3)) x = write.norm(x)
    }
    answerWith(graph, write.dense(x, 2).name)
    const canonical = await prepared(graph, [canonicalise])
    t.equal(await breachOf(canonical, fold, seed), undefined)
    t.equal(operatorsOf(canonical), 'Gemm Relu Gemm Relu Gemm Relu Gemm')
  }
})

t.test('folds into every product after it, where these are all that read it', async (t) => {
  const graph = await prepared(
    smallGraph((g) => {
      const scaled = g.node('Add', [g.node('Mul', [vector(g, 6), 'x']), vector(g, 1, 6)])
      return [gemm(g, scaled, 6, 2), gemm(g, scaled, 6, 3)]
    }),
  )
  t.equal(await breachOf(graph, fold, 1), undefined)
  t.equal(operatorsOf(graph), 'Gemm Gemm')
})

t.test('counts what it folds', async (t) => {
  const graph = await prepared(
    smallGraph((g) => g.node('Add', [g.node('Mul', [gemm(g, 'x', 6, 3), vector(g, 3)]), vector(g, 1)])),
  )
  t.same(applied(graph, foldNormalisation), { changes: 2, reasons: [] })
})

const alone = 'no product before or after it is connected to it alone'
const kept: Record<string, [(graph: Graph) => string | string[], string[]]> = {
  'what scales a product that is an output': [
    (g) => {
      const product = gemm(g, 'x', 6, 3)
      return [product, g.node('Mul', [product, vector(g, 3)])]
    },
    [`Mul: ${alone}`],
  ],
  'what scales a product that others read': [
    (g) => {
      const product = gemm(g, 'x', 6, 3)
      return [g.node('Relu', [product]), g.node('Mul', [product, vector(g, 3)])]
    },
    [`Mul: ${alone}`],
  ],
  'what is an output before a product': [
    (g) => {
      const scaled = g.node('Mul', ['x', vector(g, 6)])
      return [scaled, gemm(g, scaled, 6, 3)]
    },
    [`Mul: ${alone}`],
  ],
  'what a product and something else read': [
    (g) => {
      const shifted = g.node('Add', ['x', vector(g, 6)])
      return [g.node('Relu', [shifted]), gemm(g, shifted, 6, 3)]
    },
    [`Add: ${alone}`],
  ],
  'one product by another': [(g) => g.node('Mul', [gemm(g, 'x', 6, 3), gemm(g, 'y', 6, 3)]), []],
  'a vector that makes a product wider': [(g) => g.node('Mul', [gemm(g, 'x', 6, 1), vector(g, 5)]), [`Mul: ${alone}`]],
  'a column that a vector makes wider': [
    (g) => {
      const column = g.node('Gather', ['x', g.integers([1])], { attributes: { axis: 1 } })
      return gemm(g, g.node('Mul', [column, vector(g, 4)]), 4, 2)
    },
    [`Mul: ${alone}`],
  ],
  'a factor for each row of three dimensions': [
    (g) => {
      const rows = g.node('Reshape', [gemm(g, 'x', 6, 6), g.integers([-1, 2, 3])])
      return g.node('Mul', [rows, vector(g, 2, 1)])
    },
    [`Mul: ${alone}`],
  ],
}
for (const [name, [write, reasons]] of Object.entries(kept))
  t.test(`leaves alone ${name}`, async (t) => {
    const graph = await prepared(smallGraph(write))
    const before = operatorsOf(graph)
    t.equal(
      await breachOf(graph, (graph) => t.same(applied(graph, foldNormalisation), { changes: 0, reasons }), 1),
      undefined,
    )
    t.equal(operatorsOf(graph), before)
  })

t.test('adds up in double precision', async (t) => {
  // A shift by the weights' sum, 1 + 1e-8 · 4096 in double precision and 1 in single.
  const graph = await prepared(
    smallGraph((g) => {
      const wide = g.node(
        'Concat',
        Array.from({ length: 512 }, () => 'x'),
        { attributes: { axis: 1 } },
      )
      const shifted = g.node('Add', [wide, g.constant('one', Float32Array.of(1), [])])
      const weights = Float32Array.from({ length: 3072 }, (_, i) => (i === 0 ? 1 : 1e-8))
      return g.node('Gemm', [shifted, g.constant('w', weights, [3072, 1])])
    }),
  )
  fold(graph)
  const bias = graph.floats(graph.nodes.at(-1)!.input[2]!)!
  t.ok(Math.abs(bias[0]! - (1 + 3071e-8)) < 1.2e-7)
})
