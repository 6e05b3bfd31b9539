import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { leaveOutDifferences } from '../../../../src/model/graph/gradients/leave-out-differences.ts'
import { traceShapes } from '../../../../src/model/graph/ir/shapes.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { answersOf, answerWith, differenceOf, emptyGraph } from '../../../support/compile/run-graph.ts'

const width = 3
const feeds = (() => {
  const dice = new Dice(2)
  const rows = () => new ort.Tensor('float32', dice.floats(5 * width), [5, width])
  return { a: rows(), b: rows() }
})()

/** The product of the concatenation of these with W [k, 2]. */
async function productOf(parts: (graph: ReturnType<typeof emptyGraph>) => string[]) {
  const graph = emptyGraph({ a: floatShape(-1, width), b: floatShape(-1, width) })
  const names = parts(graph)
  const k = names.length * width
  const weight = graph.constant('w', new Dice(1).floats(2 * k), [k, 2])
  const all = graph.node('Concat', names, { attributes: { axis: 1 } })
  answerWith(graph, graph.node('MatMul', [all, weight]))
  await traceShapes(graph)
  return { graph, weights: new Set([weight]) }
}

t.test('a weight multiplies the parts of a difference instead of the difference', async (t) => {
  const { graph, weights } = await productOf((g) => {
    const [less, more] = [g.node('Sub', ['b', 'a']), g.node('Sub', ['a', 'b'])]
    return ['a', less, g.node('Mul', ['a', 'b']), 'b', more]
  })
  const before = await answersOf(graph, [feeds])
  t.equal(leaveOutDifferences(graph, weights), 1)
  t.notOk(graph.nodes.some(({ opType }) => opType === 'Sub'))
  t.equal(differenceOf(before, await answersOf(graph, [feeds])), undefined)
})

t.test('differences of what is not beside them, and products of what is not trained, stay', async (t) => {
  const other = await productOf((g) => ['a', g.node('Sub', ['a', g.node('Relu', ['b'])]), 'b'])
  t.equal(leaveOutDifferences(other.graph, other.weights), 0)
  const constant = await productOf((g) => ['a', 'b', g.node('Sub', ['a', 'b'])])
  t.equal(leaveOutDifferences(constant.graph, new Set()), 0)
  t.ok(constant.graph.nodes.some(({ opType }) => opType === 'Sub'))
})
