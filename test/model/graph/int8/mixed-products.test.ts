import t from 'tap'
import { hiddenLayers } from '../../../../src/model/graph/int8/equalise.ts'
import { mixedProducts } from '../../../../src/model/graph/int8/mixed-products.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { cutRegions } from '../../../../src/model/graph/sides/cut-regions.ts'
import { firstLayers, regionalLayers } from '../../../../src/model/graph/sides/split-sides.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared } from '../../../support/compile/law.ts'
import { answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'

/**
 * The rows of the weights of products found in a graph of x [batch, 32] of the context and y [batch, 32] of the
 * candidate.
 */
async function found(write: (graph: Graph) => string): Promise<number[]> {
  const graph = emptyGraph({ x: floatShape(-1, 32), y: floatShape(-1, 32) })
  answerWith(graph, graph.node('Sigmoid', [write(graph)]))
  const sides = { x: new Array(32).fill('context'), y: new Array(32).fill('candidate') }
  const cut = cutRegions(await prepared(graph), sides)
  if (typeof cut === 'string') throw new Error(cut)
  const layers = [...firstLayers(cut.rest), ...regionalLayers(cut)]
  const hidden = hiddenLayers(cut.whole, new Set(cut.regions.values())).map(({ output }) => output[0]!)
  return mixedProducts(cut, layers, new Set(hidden)).map(({ segments: [values] }) => values!.columns.length)
}

const gemm = (g: Graph, x: string, k: number, n: number) =>
  g.node('Gemm', [x, g.constant('kernel', new Dice(1).floats(k * n), [k, n])])
const relu = (g: Graph, x: string) => g.node('Relu', [x])
const both = (g: Graph) => g.node('Mul', ['x', 'y'])

t.test('products of what is computed of both sides, before any hidden layer', async (t) => {
  const layers = (g: Graph) => gemm(g, relu(g, gemm(g, both(g), 32, 64)), 64, 2)
  t.same(await found(layers), [32])
  const lists = (g: Graph) => {
    const items = g.node('Reshape', [both(g), g.integers([-1, 8])])
    const scores = gemm(g, relu(g, gemm(g, items, 8, 128)), 128, 1)
    return g.node('Reshape', [scores, g.integers([-1, 4])])
  }
  t.same(await found(lists), [8], 'also of the items of lists')
  const float = (g: Graph) => gemm(g, g.node('Tanh', [gemm(g, both(g), 32, 64)]), 64, 16)
  t.same(await found(float), [32, 64], 'whatever follows')
})

t.test('but none that is too small, of one side, or behind a hidden layer', async (t) => {
  t.same(await found((g) => gemm(g, relu(g, gemm(g, both(g), 32, 16)), 16, 2)), [])
  t.same(await found((g) => gemm(g, relu(g, gemm(g, both(g), 32, 16)), 16, 64)), [32], 'with its next product')
  t.same(await found((g) => gemm(g, g.node('Mul', [gemm(g, 'x', 32, 64), gemm(g, 'y', 32, 64)]), 64, 2)), [])
  const ofContext = (g: Graph) => g.node('Mul', [gemm(g, g.node('Softmax', ['x']), 32, 64), gemm(g, both(g), 32, 64)])
  t.same(await found((g) => gemm(g, ofContext(g), 64, 2)), [32])
  const mixture = (g: Graph) => {
    const experts = gemm(g, relu(g, gemm(g, both(g), 32, 64)), 64, 64)
    return gemm(g, relu(g, gemm(g, g.node('Mul', [experts, g.node('Sigmoid', [experts])]), 64, 64)), 64, 2)
  }
  t.same(await found(mixture), [32])
})
