import { readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import t from 'tap'
import { createOnnxEngine } from '../../../../src/model/engines/onnx/onnx.ts'
import { optimise } from '../../../../src/model/graph/compile/optimise.ts'
import { isExternal } from '../../../../src/model/graph/ir/constants.ts'
import { external, externalFiles, largeTable } from '../../../../src/model/graph/ir/external-data.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import {
  TensorProto_DataType as DataType,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from '../../../../src/model/graph/ir/onnx_pb.ts'
import { summarise } from '../../../../src/model/graph/ir/summary.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { openGraph } from '../../../../src/model/graph/lower/read-graph.ts'
import { survey } from '../../../../src/model/serving/version/survey.ts'
import { answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'
import { saveExternal } from '../../../support/external-weights.ts'
import { perFeatureGraph } from '../../../support/per-feature.ts'

/* Whatever reads a graph must not know whether its weights were in the ONNX file or beside it. */

/** Tests run from build/test/model/graph/lower/. */
const pytorch = join(import.meta.dirname, '../../../../../test/fixtures/pytorch')
/** All that can be read: ragged lists can't. */
const exported = readdirSync(pytorch).filter((name) => /^(?!bag-).*-(dynamo|script)\.onnx$/.test(name))

const sourceOf = (folder: string) => ({ folder, format: 'onnx' as const, file: 'model.onnx', outputs: [] })

/** A table of `rows` × 4, and a matrix; two columns of ids and of weights. */
function tableGraph(rows: number, axis = 0): Graph {
  const graph = emptyGraph({ ids: { dtype: DataType.INT64, dims: [-1, 2] } })
  const values = Float32Array.from({ length: rows * 4 }, (_, i) => Math.sin(i))
  const table = graph.constant('table', values, axis === 0 ? [rows, 4] : [4, rows])
  const looked = graph.node('Gather', [table, 'ids'], { attributes: { axis } })
  const perRow = axis === 0 ? looked : graph.node('Transpose', [looked], { attributes: { perm: [1, 2, 0] } })
  const flat = graph.node('Reshape', [perRow, graph.integers([-1, 8])])
  const weights = graph.constant('weights', Float32Array.from({ length: 16 }, Math.cos), [8, 2])
  answerWith(graph, graph.node('Sigmoid', [graph.node('MatMul', [flat, weights])]))
  return graph
}

const nodesOf = ({ nodes }: Graph) => nodes.map(({ opType, input, output }) => [opType, input, output])
const dataOf = ({ constants }: Graph) => Array.from(constants.values(), ({ name, rawData }) => [name, [...rawData]])

/** Graphs, and their constants that stay in a file. */
const graphs: [string, () => Promise<Uint8Array>, string[]?][] = [
  ...exported.map((name): [string, () => Promise<Uint8Array>] => [name, () => readFile(join(pytorch, name))]),
  ['a graph with an input per feature', async () => perFeatureGraph().toBytes()],
  ['a small table', async () => tableGraph(8).toBytes()],
  ['a large table', async () => tableGraph(largeTable / 16).toBytes(), ['table']],
  ['a large table that is looked up by columns', async () => tableGraph(largeTable / 16, 1).toBytes(), ['table']],
]

for (const [what, bytesOf, mapped = []] of graphs)
  t.test(`reads the same of weights in a file: ${what}`, async (t) => {
    const folder = t.testdir({ inside: {}, outside: {} })
    const [inside, outside] = [join(folder, 'inside'), join(folder, 'outside')]
    const bytes = await bytesOf()
    await writeFile(join(inside, 'model.onnx'), bytes)
    await saveExternal(outside, 'model.onnx', bytes)
    const read = async (folder: string) => {
      const source = sourceOf(folder)
      const constants = [...(await openGraph(source)).constants.values()]
      const summary = await summarise(await openGraph(source))
      const optimised = await openGraph(source)
      const passes = await optimise(optimised)
      const dims = Object.fromEntries(constants.map(({ name, dims }) => [name, dims]))
      const external = constants.filter(isExternal).map(({ name }) => name)
      return { dims, external, summary, signature: await survey(source), passes, optimised }
    }
    const [expected, actual] = [await read(inside), await read(outside)]
    t.same(actual.external, mapped)
    for (const part of ['dims', 'summary', 'signature', 'passes'] as const) t.same(actual[part], expected[part], part)
    t.same(nodesOf(actual.optimised), nodesOf(expected.optimised))
    if (mapped.length === 0) t.same(dataOf(actual.optimised), dataOf(expected.optimised))
  })

t.test('a graph that would take all memory is refused, wherever its weights are', async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 2) })
  const wide = graph.node('Expand', ['x', graph.integers([2 ** 20, 1, 1])])
  const sum = graph.node('ReduceSum', [wide, graph.integers([0])], { attributes: { keepdims: 0 } })
  const weights = graph.constant('weights', Float32Array.of(1, 2, 3, 4), [2, 2])
  graph.node('MatMul', [sum, weights], { outputs: ['y'] })
  answerWith(graph, 'y')
  const bytes = graph.toBytes()
  const folder = t.testdir({ inside: {}, outside: {} })
  await writeFile(join(folder, 'inside/model.onnx'), bytes)
  await saveExternal(join(folder, 'outside'), 'model.onnx', bytes)
  const engine = await createOnnxEngine({ threads: 1 })
  for (const place of ['inside', 'outside'])
    await t.rejects(engine.load({ ...sourceOf(join(folder, place)), outputs: ['y'] }), {
      code: 'UNSUPPORTED_GRAPH',
      message: /^model\.onnx: the tensor expand has 2097152 elements per row, more than 1048576$/,
    })
})

t.test(
  'weights in the graph and beside it are bounded together; beyond that ONNX Runtime opens the files',
  async (t) => {
    const graph = tableGraph(8)
    // 80 bytes stay in the graph, and 128 go into the other file.
    const weights = { floatData: Array.from({ length: 16 }, (_, i) => Math.cos(i)) }
    const kept = { weights, 'integers:-1,8': { int64Data: [-1n, 8n] } }
    for (const [name, data] of Object.entries(kept)) {
      const { dataType, dims } = graph.constants.get(name)!
      graph.constants.set(name, create(TensorProtoSchema, { name, dataType, dims, ...data }))
    }
    const folder = t.testdir()
    await saveExternal(folder, 'model.onnx', graph.toBytes())
    const source = { ...sourceOf(folder), outputs: graph.outputs.map(({ name }) => name) }
    t.equal((await openGraph(source, 208)).isResolved, true)
    await t.rejects(openGraph(source, 207), {
      code: 'UNSUPPORTED_GRAPH',
      message:
        'model.onnx: its weights are 80 bytes, and those in other files, large tables aside, 128: more than 207 together',
    })
    const batch = { rows: 1, inputs: { ids: Int32Array.of(3, 5) } }
    const answers = await Promise.all(
      [208, 207].map(async (mostBytes) => {
        const loaded = await (await createOnnxEngine({ threads: 1, mostBytes })).load(source)
        const answer = await loaded.run(batch, source.outputs)
        await loaded.close()
        return answer
      }),
    )
    t.same(answers[1], answers[0])
  },
)

t.test('names the files of all tensors', async (t) => {
  const file = (location: string) => external({ name: location, dataType: DataType.FLOAT, dims: [1n] }, location, 0, 4)
  const node = (attribute: object) =>
    create(NodeProtoSchema, { opType: 'Some', attribute: [{ name: 'value', ...attribute }] })
  const sparse = (location: string) => ({ values: file(location), indices: file(`${location}.indices`) })
  const model = create(ModelProtoSchema, {
    graph: create(GraphProtoSchema, {
      initializer: [file('a'), file('a')],
      sparseInitializer: [sparse('b')],
      node: [
        node({ t: file('c') }),
        node({ tensors: [file('d')] }),
        node({ g: create(GraphProtoSchema, { initializer: [file('e')], node: [node({ t: file('f') })] }) }),
        node({ sparseTensor: sparse('g') }),
      ],
    }),
    functions: [{ name: 'of our own', node: [node({ t: file('h') })] }],
  })
  const expected = ['a', 'b', 'b.indices', 'c', 'd', 'e', 'f', 'g', 'g.indices', 'h']
  t.same(externalFiles(toBinary(ModelProtoSchema, model)), expected)
})
