import t from 'tap'
import { multiplicationsOf } from '../../../../src/model/graph/compile/optimise.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { traceShapes } from '../../../../src/model/graph/ir/shapes.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { canonicalise } from '../../../../src/model/graph/passes/canonicalise.ts'
import { divideProducts } from '../../../../src/model/graph/passes/divide-products.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared } from '../../../support/compile/law.ts'
import {
  answersOf,
  answerWith,
  differenceOf,
  emptyGraph,
  feedsOf,
  operatorsOf,
} from '../../../support/compile/run-graph.ts'

const [length, width, columns] = [5, 3, 4]

/** k [batch, L, d] and q [batch, d], of one input each. */
interface Met {
  graph: Graph
  k: string
  /** The candidate beside every item. */
  q: string
}

const node =
  (opType: string, ...operands: ('k' | 'q')[]) =>
  (met: Met) =>
    met.graph.node(
      opType,
      operands.map((name) => met[name]),
    )
const k = ({ k }: Met) => k
const q = ({ q }: Met) => q
const difference = node('Sub', 'k', 'q')
const product = node('Mul', 'k', 'q')

/** Each: parts side by side, and multiplications per row, before: parts · L · d · n. */
const divided: Record<string, [((met: Met) => string)[], number]> = {
  'all four of DIN': [[k, q, difference, product], 2 * length + 1],
  'in another order': [[product, difference, q, k], 2 * length + 1],
  'without the product': [[k, difference, q], length + 1],
  'the two alone': [[q, k], length + 1],
  'q − k, and their sum': [[node('Sub', 'q', 'k'), node('Add', 'q', 'k')], length + 1],
  'products beside q': [[q, product], length + 1],
  'products beside k, which may depend on another side': [[k, product], 2 * length],
}

async function attention(parts: ((met: Met) => string)[]): Promise<Graph> {
  const graph = emptyGraph({ items: floatShape(-1, length * width), candidate: floatShape(-1, width) })
  const dice = new Dice(2)
  const reshape = (name: string, ...sides: number[]) => graph.node('Reshape', [name, graph.integers([-1, ...sides])])
  const keys = reshape('items', length, width)
  const row = reshape('candidate', 1, width)
  const met = { graph, k: keys, q: graph.node('Expand', [row, graph.integers([1, length, 1])]) }
  const whole = graph.node(
    'Concat',
    parts.map((part) => part(met)),
    { attributes: { axis: -1 } },
  )
  const size = parts.length * width
  const kernel = graph.constant('kernel', dice.floats(size * columns), [size, columns])
  const bias = graph.constant('bias', dice.floats(columns), [columns])
  answerWith(graph, graph.node('Tanh', [graph.node('Add', [graph.node('MatMul', [whole, kernel]), bias])]))
  return prepared(graph, [canonicalise])
}

for (const [name, [parts, products]] of Object.entries(divided))
  t.test(`divides products of ${name}`, async (t) => {
    const graph = await attention(parts)
    const feeds = feedsOf(graph, 4, new Dice(3))
    const expected = await answersOf(graph, [feeds])
    t.equal(multiplicationsOf(graph), parts.length * length * width * columns)
    t.equal(divideProducts(graph, new Map()), 1)
    canonicalise(graph, new Map())
    t.equal(multiplicationsOf(graph), products * width * columns)
    t.equal(differenceOf(expected, await answersOf(graph, [feeds])), undefined)
    t.notMatch(operatorsOf(graph), /Expand|Sub/)
    await traceShapes(graph)
  })

t.test('repeats a product of which all parts are repeated', async (t) => {
  const graph = await attention([q, q])
  const feeds = feedsOf(graph, 4, new Dice(3))
  const expected = await answersOf(graph, [feeds])
  t.equal(divideProducts(graph, new Map()), 1)
  canonicalise(graph, new Map())
  t.equal(differenceOf(expected, await answersOf(graph, [feeds])), undefined)
  t.equal(multiplicationsOf(graph), width * columns)
  await traceShapes(graph)
})

const whole: Record<string, ((met: Met) => string)[]> = {
  'nothing that is repeated': [k, node('Tanh', 'k')],
  'what met the candidate alone': [product, node('Mul', 'q', 'k')],
}
for (const [name, parts] of Object.entries(whole))
  t.test(`leaves products of ${name}`, async (t) => {
    const graph = await attention(parts)
    const left = new Map()
    const before = multiplicationsOf(graph)
    t.equal(divideProducts(graph, left), 0)
    t.equal(multiplicationsOf(graph), before)
    t.same([...left.values()], ['division into the terms of its parts would not save multiplications'])
  })
