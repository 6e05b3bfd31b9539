import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { traceShapes } from '../../../../src/model/graph/ir/shapes.ts'
import { declare, floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { logitsOf } from '../../../../src/tools/train/network/onnx-network.ts'
import { answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'

/** Values of the logits behind probabilities, for logits −40, 0.5. */
async function logits(build: (graph: Graph) => string) {
  const graph = emptyGraph({ x: floatShape(-1, 2) })
  answerWith(graph, build(graph))
  await traceShapes(graph)
  const name = logitsOf(graph, graph.outputs[0]!.name)
  const shape = graph.shapes.get(name)
  graph.outputs.splice(0, Infinity, declare(name, floatShape(-1, 2)))
  const session = await ort.InferenceSession.create(graph.toBytes())
  const read = await session.run({ x: new ort.Tensor('float32', Float32Array.of(-40, 0.5), [1, 2]) })
  return { shape, values: [...(read[name]!.data as Float32Array)], operators: graph.nodes.map((node) => node.opType) }
}

t.test("the sigmoid's input, without what the sigmoid rounds away", async (t) => {
  const { values, operators } = await logits((graph) => graph.node('Sigmoid', ['x']))
  t.same(values, [-40, 0.5])
  t.notOk(operators.includes('Log'))
})

t.test('of a sigmoid per task, reshaped and concatenated', async (t) => {
  const { values, shape, operators } = await logits((graph) => {
    const [a, b] = graph.nodeOf('Split', ['x'], 2, { attributes: { axis: 1 } })
    const flat = graph.node('Reshape', [graph.node('Sigmoid', [b!]), graph.integers([-1])])
    const column = graph.node('Unsqueeze', [flat, graph.integers([1])])
    return graph.node('Concat', [graph.node('Sigmoid', [a!]), column], { attributes: { axis: 1 } })
  })
  t.same(values, [-40, 0.5])
  t.same(shape?.dims, [-1, 2])
  t.notOk(operators.includes('Sigmoid'))
})

t.test('computed of probabilities without a sigmoid, and finite', async (t) => {
  const { values } = await logits((graph) => {
    const one = graph.constant('one', Float32Array.of(1), [])
    const powers = graph.node('Exp', [graph.node('Neg', ['x'])])
    return graph.node('Reciprocal', [graph.node('Add', [one, powers])])
  })
  t.ok(Math.abs(values[0]! - Math.log(1e-6)) < 1e-3, `${values[0]}`)
  t.ok(Math.abs(values[1]! - 0.5) < 1e-5, `${values[1]}`)
})
