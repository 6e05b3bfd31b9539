import t from 'tap'
import { optimise } from '../../../../src/model/graph/compile/optimise.ts'
import { calibrate, feedsOf, openSession, predictRows } from '../../../../src/model/graph/int8/observe-ranges.ts'
import { rangeKey } from '../../../../src/model/graph/int8/quantise-layers.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { uncut } from '../../../../src/model/graph/sides/cut-regions.ts'
import { buildModel, distance, exampleModel, rowsOf, savedAnswers } from '../../../support/compile/random-model.ts'
import { answerWith, emptyGraph, reread } from '../../../support/compile/run-graph.ts'

t.test('rows are computed piece by piece, in any number', async (t) => {
  for (const ids of ['int32', 'int64', 'float32'] as const) {
    const graph = buildModel({ ...exampleModel, ids })
    const session = await openSession(graph.toBytes())
    for (const count of [0, 1, 255, 256, 257, 600]) {
      const rows = rowsOf({ ...exampleModel, ids }, count, 2)
      const answers = await predictRows(session, 'probabilities', rows)
      const expected = count === 0 ? [] : await savedAnswers(graph, rows)
      t.ok(distance(answers, expected) <= 1e-6, `${count} rows of ${ids}`)
    }
    await session.release()
  }
})

t.test('ids given as integers are floats where the graph wants floats', async (t) => {
  const model = { ...exampleModel, ids: 'float32' as const }
  const session = await openSession(buildModel(model).toBytes())
  const { rows, inputs } = rowsOf(model, 5, 1)
  const feeds = feedsOf(session, { rows, inputs: { ...inputs, sparse: Int32Array.from(inputs.sparse!) } }, 1, 3)
  t.equal(feeds.sparse!.type, 'float32')
  t.same([...(feeds.sparse!.data as Float32Array)], [...inputs.sparse!.subarray(3, 12)])
  t.throws(() => feedsOf(session, { rows: 1, inputs: {} }, 0, 1), { message: /^there are no values of the input / })
  await session.release()
})

t.test('largest hidden values, and the range of every feature that is a number', async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 3) })
  const one = graph.constant('one', Float32Array.of(1), [1])
  const logs = graph.node('Log', [graph.node('Add', [graph.node('Abs', ['x']), one])])
  const features = graph.node('Concat', ['x', logs], { attributes: { axis: 1 } })
  const weights = Float32Array.from({ length: 12 }, (_, i) => (i === 0 || i === 3 ? 1 : 0))
  const product = graph.node('Gemm', [
    features,
    graph.constant('w', weights, [6, 2]),
    graph.constant('b', Float32Array.of(0.5, -0.5), [2]),
  ])
  const hidden = graph.node('Relu', [product])
  graph.node('Gemm', [hidden, graph.constant('v', Float32Array.of(1, 1), [2, 1])], { outputs: ['y'] })
  answerWith(graph, 'y')
  const read = reread(graph)
  await optimise(read)
  const rows = 600
  // Row by row −3 … 3; the largest is the last.
  const x = Float32Array.from({ length: rows * 3 }, (_, i) =>
    i % 3 === 2 ? 7 : -3 + (6 * Math.floor(i / 3)) / (rows - 1),
  )
  const { maxima, ranges } = await calibrate(uncut(read, {}), { rows, inputs: { x } })
  t.equal(maxima.size, 1)
  t.ok(distance([...maxima.values()][0]!, [3.5, 2.5]) < 1e-5)
  const first = read.nodes.find(({ opType }) => opType === 'Gemm')!
  const of = (segment: number) => ranges.get(rangeKey(first.input[0]!, segment))!
  t.equal(ranges.size, 2)
  t.ok(distance(of(0).lo, [-3, -3, 7]) < 1e-5)
  t.ok(distance(of(0).hi, [3, 3, 7]) < 1e-5)
  t.ok(distance(of(1).hi, [Math.log(4), Math.log(4), Math.log(8)]) < 1e-5)
})

t.test('a column that is an input of its own', async (t) => {
  const graph = emptyGraph({ x: { dtype: DataType.FLOAT, dims: [-1] }, y: floatShape(-1, 1) })
  const column = graph.node('Unsqueeze', ['x', graph.integers([1])])
  const features = graph.node('Concat', [column, 'y'], { attributes: { axis: 1 } })
  const hidden = graph.node('Relu', [
    graph.node('MatMul', [features, graph.constant('w', Float32Array.of(1, 2), [2, 1])]),
  ])
  graph.node('MatMul', [hidden, graph.constant('v', Float32Array.of(1), [1, 1])], { outputs: ['z'] })
  answerWith(graph, 'z')
  const read = reread(graph)
  await optimise(read)
  const { ranges } = await calibrate(uncut(read, {}), {
    rows: 2,
    inputs: { x: Float32Array.of(-1, 4), y: Float32Array.of(2, 3) },
  })
  t.same(
    [...ranges.values()].map(({ lo, hi }) => [lo[0], hi[0]]).sort(),
    [
      [-1, 4],
      [2, 3],
    ].sort(),
  )
})

t.test('of a graph without hidden layers and numbers there is nothing to learn', async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 2) })
  graph.node('Sigmoid', ['x'], { outputs: ['y'] })
  answerWith(graph, 'y')
  const read = reread(graph)
  await optimise(read)
  const { maxima, ranges } = await calibrate(uncut(read, {}), { rows: 1, inputs: { x: Float32Array.of(1, 2) } })
  t.same([maxima.size, ranges.size], [0, 0])
})
