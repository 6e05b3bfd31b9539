import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import t, { type Test } from 'tap'
import type { GraphSource } from '../../../../src/model/contracts/engine.ts'
import { holdsIds } from '../../../../src/model/contracts/saved-signature.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import {
  TensorProto_DataType as DataType,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from '../../../../src/model/graph/ir/onnx_pb.ts'
import { summarise } from '../../../../src/model/graph/ir/summary.ts'
import { declare, floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { survey } from '../../../../src/model/serving/version/survey.ts'
import { surveyInThread } from '../../../../src/model/serving/version/survey-in-thread.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'
import { perFeatureGraph } from '../../../support/per-feature.ts'
import { noReference, referenceFolder } from '../../../support/reference.ts'

async function save(t: Test, graph: Graph | Uint8Array): Promise<GraphSource> {
  const folder = await temporaryFolder(t)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'model.onnx'), graph instanceof Uint8Array ? graph : graph.toBytes())
  return { folder, format: 'onnx', file: 'model.onnx', outputs: [] }
}

/** A graph whose output comes from a long chain of operators that pass values on. */
function deep(write: (graph: Graph) => string): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 2) })
  let value = write(graph)
  for (let i = 0; i < 5000; i++) value = graph.node('Identity', [value])
  graph.outputs.push(declare(value, floatShape(-1, 2)))
  return graph
}

/** Three columns of ids, each with a table of its own, as ranking models in PyTorch have them; or one for all. */
function tables(sizes: number[], dtype: number = DataType.INT64): Graph {
  const graph = emptyGraph({ ids: { dtype, dims: [-1, sizes.length] } })
  const columns = sizes.map((size, column) => {
    const table = graph.constant(`table_${column}`, new Float32Array(size * 2).fill(0.1), [size, 2])
    const ids = graph.node('Gather', ['ids', graph.constant(`c${column}`, BigInt64Array.of(BigInt(column)), [])], {
      attributes: { axis: 1 },
    })
    return graph.node('Gather', [table, ids])
  })
  const x = graph.node('Concat', columns, { attributes: { axis: 1 } })
  const weights = graph.constant('weights', new Float32Array(sizes.length * 2).fill(0.5), [sizes.length * 2, 1])
  const p = graph.node('Sigmoid', [graph.node('MatMul', [x, weights])])
  answerWith(graph, p)
  return graph
}

t.test('says what an output holds, however deep the graph is', async (t) => {
  const valuesOf = async (write: (graph: Graph) => string) =>
    (await survey(await save(t, deep(write)))).outputs.map(({ values }) => values)
  const weights = (g: Graph) => g.constant('weights', Float32Array.of(1, 2, 3, 4), [2, 2])
  t.same(await valuesOf((g) => g.node('Sigmoid', ['x'])), ['probabilities'])
  t.same(await valuesOf((g) => g.node('MatMul', ['x', weights(g)])), ['logits'])
  t.same(await valuesOf(() => 'x'), [undefined])
})

t.test('says what a graph wants and answers', async (t) => {
  const { inputs, outputs } = await survey(await save(t, perFeatureGraph()))
  t.match(inputs, [
    { name: 'country', dtype: 'int64', dims: [], ids: [5], shared: true },
    { name: 'hour', dtype: 'int32', dims: [1], ids: [24], shared: true },
    { name: 'price', dtype: 'float32', dims: [], ids: [undefined] },
    { name: 'sizes', dtype: 'float32', dims: [2, 2], ids: Array(4).fill(undefined) },
  ])
  t.same(inputs.map(holdsIds), [true, true, false, false])
  t.match(outputs, [
    { name: 'click', dtype: 'float32', dims: [1] },
    { name: 'buy', dtype: 'float32', dims: [] },
  ])
})

t.test('a table a column is told by column, and a shape that is not declared is learnt', async (t) => {
  const { inputs, outputs } = await survey(await save(t, tables([7, 300, 12])))
  t.match(inputs, [{ name: 'ids', dims: [3], ids: [7, 300, 12], shared: false }])
  t.match(outputs, [{ dims: [1] }])
})

t.test('several columns that are looked up before attention are ids', async (t) => {
  const folder = join(import.meta.dirname, '../../../../../test/fixtures/pytorch')
  for (const exporter of ['dynamo', 'script']) {
    const file = `user-tower-${exporter}.onnx`
    const { inputs } = await survey({ folder, format: 'onnx', file, outputs: [] })
    // 50 of the context, and one of the candidate, by two tables.
    t.match(inputs, [{ name: 'ids', dims: [51], ids: Array(51).fill(20), shared: false }, { name: 'dense' }], file)
  }
})

t.test('ids that are computed have no range, and what is added is taken off it', async (t) => {
  const rows = 20
  const idsOf = async (index: (graph: Graph, constant: (value: number) => string) => string) => {
    const graph = emptyGraph({ ids: { dtype: DataType.INT64, dims: [-1, 4] } })
    const constant = (value: number) => graph.constant(`c${value}`, BigInt64Array.of(BigInt(value)), [])
    const table = graph.constant('table', new Float32Array(rows * 2).fill(0.1), [rows, 2])
    const embedded = graph.node('Gather', [table, index(graph, constant)])
    const mean = graph.node('ReduceMean', [embedded], { attributes: { axes: [1], keepdims: 0 } })
    const weights = graph.constant('weights', Float32Array.of(0.5, 0.3), [2, 1])
    answerWith(graph, graph.node('Sigmoid', [graph.node('MatMul', [mean, weights])]))
    const [{ ids, shared } = {}] = (await survey(await save(t, graph))).inputs
    return { ids, shared }
  }
  const known = (ids: number) => ({ ids: Array(4).fill(ids), shared: true })
  const none = { ids: Array(4).fill(undefined), shared: false }
  t.same(await idsOf(() => 'ids'), known(rows))
  t.same(await idsOf((graph, c) => graph.node('Add', ['ids', c(5)])), known(rows - 5))
  const wrapped = (graph: Graph, c: (value: number) => string) =>
    graph.node('Where', [graph.node('Less', ['ids', c(0)]), graph.node('Add', ['ids', c(rows)]), 'ids'])
  t.same(await idsOf(wrapped), known(rows), "as Keras counts from a table's end")
  t.same(await idsOf((graph, c) => graph.node('Sub', ['ids', c(10)])), none)
  t.same(await idsOf((graph, c) => graph.node('Div', ['ids', c(10)])), none)
  t.same(await idsOf((graph, c) => graph.node('Min', ['ids', c(rows - 1)])), none)
  t.same(await idsOf((graph, c) => graph.node('Max', ['ids', c(0)])), none)
  t.same(await idsOf((graph, c) => graph.node('Where', [graph.node('Less', ['ids', c(rows)]), 'ids', c(0)])), none)
})

t.test('in a thread it is the same, errors too', async (t) => {
  const source = await save(t, tables([7, 300, 12]))
  t.same(await surveyInThread(source), await survey(source))
  await t.rejects(surveyInThread({ ...source, file: 'other.onnx' }), {
    code: 'INVALID_BUNDLE',
    message: /^other\.onnx: can't be read/,
  })
  const bad = await save(t, new Uint8Array(100).fill(255))
  await t.rejects(surveyInThread(bad), { code: 'INVALID_BUNDLE', message: 'model.onnx: is not an ONNX file' })
})

t.test('ids that Keras 3 exports as floats are ids all the same', { skip: noReference }, async (t) => {
  const folder = join(referenceFolder, 'keras3/mmoe')
  const { inputs } = await survey({ folder, format: 'onnx', file: 'model.onnx', outputs: [] })
  const ids = inputs.find(({ name }) => name === 'args_0')!
  t.match(ids, { dtype: 'float32', dims: [31], ids: Array(31).fill(484), shared: true })
  t.ok(holdsIds(ids))
})

t.test('inputs that can not be asked for any number of rows are refused', async (t) => {
  const fixed = tables([7])
  fixed.inputs.splice(0, 1, declare('ids', { dtype: DataType.INT64, dims: [4, 1] }))
  await t.rejects(survey(await save(t, fixed)), {
    code: 'UNSUPPORTED_GRAPH',
    message:
      'model.onnx: the input ids has a fixed number of rows, or none: export it with a free first dimension (dynamic_axes or dynamic_shapes in PyTorch)',
  })
  const wide = tables([7])
  wide.inputs.splice(0, 1, declare('ids', { dtype: DataType.INT64, dims: [-1, 2, -2] }))
  await t.rejects(survey(await save(t, wide)), {
    code: 'UNSUPPORTED_GRAPH',
    message: 'model.onnx: the input ids has no fixed width',
  })
})

t.test('a classifier that answers with maps is refused, and how to export it is said', async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 2) })
  graph.node('ZipMap', ['x'], { outputs: ['probabilities'], domain: 'ai.onnx.ml' })
  const maps = create(TypeProtoSchema, {
    value: { case: 'sequenceType', value: { elemType: { value: { case: 'mapType', value: {} } } } },
  })
  graph.outputs.push(create(ValueInfoProtoSchema, { name: 'probabilities', type: maps }))
  await t.rejects(survey(await save(t, graph)), {
    code: 'UNSUPPORTED_GRAPH',
    message: 'model.onnx: the output probabilities is a sequence of maps, not a tensor: export it with zipmap=False',
  })
})

t.test('a summary counts weights once, and operations by row', async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 10) })
  const kernel = graph.constant('kernel', new Float32Array(40), [10, 4])
  const once = graph.node('MatMul', ['x', kernel], { outputs: ['first'] })
  const gemm = graph.node('Gemm', ['x', kernel, graph.constant('bias', new Float32Array(4), [4])], {
    outputs: ['second'],
  })
  answerWith(
    graph,
    graph.node('Relu', [graph.node('Add', [once, gemm], { outputs: ['sum'] })], { outputs: ['answer'] }),
  )
  const { nodes, parameters, parameterBytes, flops } = await summarise(graph)
  t.equal(parameters, 44)
  t.equal(parameterBytes, 176)
  t.same(
    nodes.map(({ name, operator, shape, parameters, flops }) => [name, operator, shape, parameters, flops]),
    [
      ['first', 'MatMul', [4], 40, 80],
      ['second', 'Gemm', [4], 4, 84],
      ['sum', 'Add', [4], 0, 4],
      ['answer', 'Relu', [4], 0, 4],
    ],
  )
  t.equal(flops, 80 + 84 + 4 + 4)
})
