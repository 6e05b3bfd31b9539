import t from 'tap'
import { differentiate } from '../../../../src/model/graph/gradients/differentiate.ts'
import { traceShapes } from '../../../../src/model/graph/ir/shapes.ts'
import { declare, floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'

async function graphOf(build: (graph: ReturnType<typeof emptyGraph>) => string, opset = 17) {
  const graph = emptyGraph({ x: floatShape(-1, 4), w: floatShape(4) }, opset)
  const y = build(graph)
  answerWith(graph, y)
  await traceShapes(graph)
  const loss = graph.node('ReduceSum', [y, graph.integers([0, 1])], {
    attributes: { keepdims: 0 },
    shape: floatShape(),
  })
  graph.outputs.splice(0, Infinity, declare(loss, floatShape()))
  return { graph, loss }
}

t.test('an operator without a rule is refused by name and place', async (t) => {
  const { graph, loss } = await graphOf((g) => g.node('Tan', [g.node('Mul', ['x', 'w'])], { outputs: ['wave'] }))
  t.throws(() => differentiate(graph, loss, ['w']), {
    code: 'UNSUPPORTED_GRAPH',
    message: 'Tan wave: there is no rule for the gradient of this operator',
  })
  graph.nodes.find(({ opType }) => opType === 'Tan')!.opType = 'Gelu'
  t.throws(() => differentiate(graph, loss, ['w']), { message: /^Gelu wave: .*; export with operator set 18/ })
})

t.test('an operator without a rule does no harm where nothing is trained', async (t) => {
  const { graph, loss } = await graphOf((g) => g.node('Mul', [g.node('Tan', ['x']), 'w']))
  const { gradients } = differentiate(graph, loss, ['w'])
  t.same([...gradients.keys()], ['w'])
})

t.test('what the loss does not depend on has no gradient', async (t) => {
  const { graph, loss } = await graphOf((g) => g.node('Relu', ['x']))
  t.same([...differentiate(graph, loss, ['w', 'x']).gradients.keys()], ['x'])
})

t.test('a tensor that is read twice gets the sum of both gradients, itself included', async (t) => {
  const { graph, loss } = await graphOf((g) => g.node('Add', [g.node('Mul', ['x', 'w']), 'w']))
  const before = graph.nodes.length
  t.ok(differentiate(graph, loss, ['w', loss]).gradients.has(loss))
  t.ok(graph.nodes.slice(before).some(({ opType }) => opType === 'Add'))
})

t.test('what a rule does not support is refused by place, with the reason', async (t) => {
  const { graph, loss } = await graphOf((g) =>
    g.node('Gather', ['x', g.node('Cast', ['w'], { attributes: { to: 7 } })], { attributes: { axis: 1 } }),
  )
  t.throws(() => differentiate(graph, loss, ['x']), {
    message: 'Gather gather: a look-up of columns in what is computed is supported by constant indexes alone',
  })
  const sliced = await graphOf((g) =>
    g.node('Slice', ['x', g.integers([0]), g.integers([4]), g.integers([1]), g.integers([2])]),
  )
  t.throws(() => differentiate(sliced.graph, sliced.loss, ['x']), {
    message: 'Slice slice: steps other than 1 are not supported',
  })
})

t.test('sums of products that have no rule are refused by place, with the reason', async (t) => {
  for (const [equation, inputs, reason] of [
    ['bi,bi->b', ['x', 'one'], 'sides i that differ are not supported'],
    ['bi,bj->bj', ['x', 'x'], 'the sum over i, a side of one operand alone, is not supported'],
    ['b...->b...', ['x'], 'the equation b...->b... is not supported'],
    ['ii->i', ['square'], 'the equation ii->i is not supported'],
  ] as const) {
    const { graph, loss } = await graphOf((g) => {
      const x = g.node('Identity', ['x'])
      g.node('ReduceSum', [x, g.integers([1])], { attributes: { keepdims: 1 }, outputs: ['one'] })
      g.node('MatMul', [g.node('Transpose', [x], { attributes: { perm: [1, 0] } }), x], { outputs: ['square'] })
      const y = g.node('Einsum', [...inputs], { attributes: { equation } })
      return g.node('Reshape', [y, g.integers([-1, 1])])
    })
    t.throws(() => differentiate(graph, loss, ['x']), { message: `Einsum einsum: ${reason}` }, equation)
  }
})

t.test('operator sets before 13 are refused', async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 4) }, 12)
  t.throws(() => differentiate(graph, 'x', ['x']), {
    message: 'its operator set is 12: 13 and later are differentiated',
  })
})
