import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import t, { type Test } from 'tap'
import { prepareTensorFlow } from '../../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { isExternal } from '../../../../src/model/graph/ir/constants.ts'
import { largeTable } from '../../../../src/model/graph/ir/external-data.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  GraphProtoSchema,
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProtoSchema,
} from '../../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { readLayersModel } from '../../../../src/model/graph/lower/layers/layers-model.ts'
import { lowerToGraph } from '../../../../src/model/graph/lower/layers/lower-layers.ts'
import { readGraph } from '../../../../src/model/graph/lower/read-graph.ts'
import { answerWith, emptyGraph, operatorsOf } from '../../../support/compile/run-graph.ts'
import { saveLayersModel } from '../../../support/layers-model.ts'

const file = 'graph.onnx'

/** A folder with a saved graph of these bytes. */
async function saved(t: Test, bytes: Uint8Array | string, name = file) {
  const folder = t.testdir()
  await mkdir(join(folder, 'sub'))
  await writeFile(join(folder, name), bytes)
  return { folder, format: 'onnx' as const, file: name, outputs: [] }
}

/** Two outputs, `a` and `b`, each with a constant of its own. */
function twoOutputs(): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 2) })
  for (const name of ['a', 'b'])
    graph.node('Add', ['x', graph.constant(`of ${name}`, Float32Array.of(1, 2), [2])], { outputs: [name] })
  answerWith(graph, 'a', 'b')
  return graph
}

t.test('reads one output of an ONNX file, and what it needs', async (t) => {
  const graph = await readGraph(await saved(t, twoOutputs().toBytes()), 'b')
  t.same(
    graph.outputs.map(({ name }) => name),
    ['b'],
  )
  t.equal(operatorsOf(graph), 'Add')
  t.same([...graph.constants.keys()], ['of b'])
})

t.test('reads one layer of a layers model', async (t) => {
  const tensorflow = await prepareTensorFlow('cpu')
  const { layers } = tensorflow
  const x = layers.input({ shape: [3], name: 'x' })
  const first = layers.layers.dense({ units: 4, name: 'first' }).apply(x)
  const last = layers.layers.dense({ units: 2, name: 'last', activation: 'sigmoid' }).apply(first)
  const model = layers.model({ inputs: x, outputs: last as typeof x })
  const folder = t.testdir()
  await saveLayersModel(tensorflow, model, folder)
  const graph = await readGraph({ folder, format: 'layers', file: 'model.json', outputs: ['last'] }, 'first')
  t.same(
    graph.outputs.map(({ name }) => name),
    ['first'],
  )
  const expected = lowerToGraph(await readLayersModel(folder, 'model.json'), ['first'], { folder })
  t.same(graph.toBytes(), expected.toBytes())
})

t.test('rejects what is no graph, or not in the folder, naming the file', async (t) => {
  const whole = twoOutputs().toBytes()
  const broken: [string, Uint8Array | string, RegExp][] = [
    ['another kind of file', '{"not": "ONNX"}', /^graph.onnx: is not an ONNX file$/],
    ['a file that was cut off', whole.subarray(0, whole.length - 10), /^graph.onnx: is not an ONNX file$/],
    ['an empty file', '', /^graph.onnx: the ONNX model has no graph$/],
    ['a missing output', emptyGraph({}).toBytes(), /^graph.onnx: there is no output b(, but .*)?$/],
  ]
  for (const [what, bytes, message] of broken)
    await t.rejects(readGraph(await saved(t, bytes), 'b'), { code: 'INVALID_BUNDLE', message }, what)
  const source = await saved(t, whole)
  await t.rejects(readGraph({ ...source, file: 'absent.onnx' }, 'b'), {
    code: 'INVALID_BUNDLE',
    message: /^absent.onnx: can't be read: /,
  })
  for (const outside of ['../graph.onnx', join(source.folder, file), 'sub/../../other.onnx', '.'])
    await t.rejects(readGraph({ ...source, file: outside }, 'b'), {
      code: 'INVALID_BUNDLE',
      message: /is not a path inside/,
    })
  const functions = create(ModelProtoSchema, { graph: create(GraphProtoSchema, {}), functions: [{ name: 'f' }] })
  await t.rejects(readGraph(await saved(t, toBinary(ModelProtoSchema, functions)), 'b'), {
    code: 'UNSUPPORTED_GRAPH',
    message: /^graph.onnx: functions/,
  })
})

interface External {
  location: string
  offset?: number
  length?: number
}

/** ids → rows of a large table, times weights: `b`; `a` is another output. `unread`: a constant that nothing reads. */
function external(table: External, weights: External): Graph {
  const graph = emptyGraph({ ids: { dtype: DataType.INT32, dims: [-1] } })
  const put = (name: string, dims: bigint[], { location, ...place }: External) => {
    const externalData = Object.entries({ location, ...place }).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value: `${value}` }),
    )
    const parts = { name, dims, dataType: DataType.FLOAT, dataLocation: DataLocation.EXTERNAL, externalData }
    graph.constants.set(name, create(TensorProtoSchema, parts))
  }
  put('table', [tableRows, 2n], table)
  put('weights', [2n, 3n], weights)
  put('unread', [2n], { location: '../not-looked-at.bin' })
  const rows = graph.node('Gather', ['table', 'ids'])
  graph.node('MatMul', [rows, 'weights'], { outputs: ['b'] })
  graph.node('Relu', [rows], { outputs: ['a'] })
  answerWith(graph, 'a', 'b')
  return graph
}

/** Rows of two numbers that are a large table. */
const tableRows = BigInt(largeTable / 8)

const values = Float32Array.of(9, 1, 2, 3, 4, 5, 6, 9)
const bytes = new Uint8Array(values.buffer)
const tableBytes = new Uint8Array(largeTable)

t.test('reads external weights, and leaves large tables where they lie', async (t) => {
  for (const [place, name] of [
    [{ location: 'weights.bin', offset: 4, length: 24 }, file],
    [{ location: 'weights.bin', offset: 4 }, join('sub', file)],
    [{ location: '../weights.bin', offset: 4 }, join('sub', file)],
  ] as const) {
    const source = await saved(t, external({ location: 'table.bin' }, place).toBytes(), name)
    await writeFile(join(source.folder, name, '..', 'table.bin'), tableBytes)
    await writeFile(join(source.folder, name, '..', place.location), bytes)
    const graph = await readGraph(source, 'b')
    t.same([...graph.floats('weights')!], [1, 2, 3, 4, 5, 6])
    t.same(graph.dimsOf('weights'), [2, 3])
    t.notOk(isExternal(graph.constants.get('weights')!))
    t.ok(isExternal(graph.constants.get('table')!))
    t.same([...graph.constants.keys()].sort(), ['table', 'weights'])
  }
})

t.test('rejects external data that is not in the folder, or not whole', async (t) => {
  const table = { location: 'table.bin' }
  const weights = { location: 'weights.bin', offset: 4 }
  const refused: [string, Graph, RegExp][] = [
    ['weights outside', external(table, { location: '../weights.bin' }), /^\.\.\/weights.bin: is not a path inside/],
    ['a table outside', external({ location: '../table.bin' }, weights), /^\.\.\/table.bin: is not a path inside/],
    ['an absolute path', external({ location: '/etc/hostname' }, weights), /^\/etc\/hostname: is not a path inside/],
    ['no path', external({ location: '' }, weights), /is not a path inside/],
    ['a missing file', external(table, { location: 'absent.bin' }), /^absent.bin: can't be read: it is missing/],
    ['a folder', external(table, { location: 'sub' }), /^sub: weights can't be read: EISDIR/],
    [
      'a file that ends too early',
      external(table, { location: 'weights.bin', offset: 12 }),
      /^weights.bin: weights lies outside of it, or has another length$/,
    ],
    [
      'a table that begins before its file',
      external({ location: 'table.bin', offset: -8 }, weights),
      /^table.bin: table lies outside of it, or has another length$/,
    ],
    ['a table beyond every file', external({ location: 'table.bin', offset: 2 ** 62 }, weights), /lies outside of it/],
    ['another length', external({ ...table, length: 8 }, weights), /^table.bin: table lies outside of it/],
    ['a missing table', external({ location: 'absent.bin' }, weights), /^absent.bin: can't be read: it is missing/],
  ]
  for (const [what, graph, message] of refused) {
    const source = await saved(t, graph.toBytes())
    await writeFile(join(source.folder, 'weights.bin'), bytes)
    await writeFile(join(source.folder, 'table.bin'), tableBytes)
    await t.rejects(readGraph(source, 'b'), { code: 'INVALID_BUNDLE', message }, what)
  }
})
