import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { restoreSigmoids, writeOutSigmoids } from '../../../../src/model/graph/ir/sigmoids.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { answersOf, answerWith, emptyGraph, operatorsOf } from '../../../support/compile/run-graph.ts'

/** Two tasks, each with a sigmoid, side by side; the second is also the product of both. */
function twoTasks(): Graph {
  const graph = emptyGraph({ a: floatShape(-1, 1), b: floatShape(-1, 1) })
  const click = graph.node('Sigmoid', ['a'])
  const both = graph.node('Mul', [click, graph.node('Sigmoid', ['b'])])
  answerWith(graph, graph.node('Concat', [click, both], { attributes: { axis: 1 } }))
  return graph
}

t.test('probabilities are exact to 1e-6 of themselves, however small they are', async (t) => {
  const graph = twoTasks()
  writeOutSigmoids(graph)
  const logits = Float32Array.from({ length: 100 }, (_, i) => i / 2 - 40)
  const feeds = () => new ort.Tensor('float32', logits, [logits.length, 1])
  const [answers] = await answersOf(graph, [{ a: feeds(), b: feeds() }])
  const { values } = answers![graph.outputs[0]!.name]!
  const worst = Math.max(
    ...Array.from(logits, (logit, row) => {
      const exact = 1 / (1 + Math.exp(-logit))
      const [one, two] = [values[2 * row]! / exact, values[2 * row + 1]! / exact ** 2]
      return Math.max(Math.abs(one - 1), Math.abs(two - 1))
    }),
  )
  t.ok(worst < 1e-6, `${worst}`)
})

t.test('what was written out is restored, and hidden sigmoids stay', (t) => {
  const graph = twoTasks()
  writeOutSigmoids(graph)
  t.notMatch(operatorsOf(graph), /Sigmoid/)
  restoreSigmoids(graph)
  graph.tidy()
  t.equal(operatorsOf(graph), operatorsOf(twoTasks()))
  t.same([...graph.constants.keys()], [])

  const hidden = emptyGraph({ x: floatShape(-1, 1) })
  answerWith(hidden, hidden.node('Relu', [hidden.node('Sigmoid', ['x'])]))
  writeOutSigmoids(hidden)
  t.equal(operatorsOf(hidden), 'Sigmoid Relu')
  t.end()
})
