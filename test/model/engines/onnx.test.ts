import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import t from 'tap'
import { buildArchitecture } from '../../../src/model/architectures/build.ts'
import { readLayersModel } from '../../../src/model/compile/layers-model.ts'
import { lowerToGraph } from '../../../src/model/compile/lower.ts'
import {
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataType as DataType,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from '../../../src/model/compile/onnx_pb.ts'
import type { GraphSource } from '../../../src/model/engines/engine.ts'
import { createOnnxEngine } from '../../../src/model/engines/onnx.ts'
import { prepareTensorFlow } from '../../../src/model/engines/tensorflow-backend.ts'
import { saveLayersModel } from '../../layers-model.ts'

const tensorflow = await prepareTensorFlow('cpu')
const built = buildArchitecture(
  {
    name: 'mixture_of_experts',
    dim_emb: 3,
    embedding_l2: 0,
    num_experts: 4,
    num_hidden_expert: 1,
    dim_hidden_expert: 5,
    dropout_expert: 0,
    num_hidden_tasks: 1,
    dim_hidden_tasks: 4,
    dropout_tasks: 0,
  },
  { sparseFields: 2, denseFields: 1, ids: 9, tasks: ['ctr', 'cvr'], seed: 1 },
)
const engine = await createOnnxEngine({ threads: 1 })
const outputs = ['probabilities', 'logits', 'gate']
const batch = { rows: 2, inputs: { sparse: Int32Array.of(0, 5, 3, 8), dense: Float32Array.of(0.5, -2) } }

async function saved(t: { testdir(): string }): Promise<GraphSource> {
  const folder = t.testdir()
  await saveLayersModel(tensorflow, built, folder)
  return { folder, format: 'layers', file: 'model.json', outputs }
}

/** The same model as an ONNX file, changed. */
async function savedOnnx(t: { testdir(): string }, change: (model: ModelProto) => void): Promise<GraphSource> {
  const source = await saved(t)
  const model = lowerToGraph(await readLayersModel(source.folder, source.file), outputs)
  change(model)
  await writeFile(join(source.folder, 'model.onnx'), toBinary(ModelProtoSchema, model))
  return { ...source, format: 'onnx', file: 'model.onnx' }
}

function tensorType(model: ModelProto, kind: 'input' | 'output', index: number) {
  const type = model.graph![kind][index]!.type!.value
  if (type.case !== 'tensorType') throw new Error('no tensor')
  return type.value
}

t.test('reads the signature from the graph', async (t) => {
  const graph = await engine.load(await saved(t))
  t.same(graph.signature, {
    inputs: [
      { name: 'sparse', dtype: 'int32', width: 2 },
      { name: 'dense', dtype: 'float32', width: 1 },
    ],
    outputs: [
      { name: 'probabilities', width: 2 },
      { name: 'logits', width: 2 },
      { name: 'gate', width: 4 },
    ],
  })
  await graph.close()
})

t.test('computes what is wanted and nothing else', async (t) => {
  const graph = await engine.load(await saved(t))
  const all = await graph.run(batch, outputs)
  t.same(Object.keys(all), outputs)
  t.equal(all.probabilities!.length, 4)
  t.equal(all.gate!.length, 8)
  const one = await graph.run(batch, ['gate'])
  t.same(one, { gate: all.gate })
  t.same(await graph.run({ rows: 0, inputs: {} }, ['gate']), { gate: new Float32Array(0) })
  await graph.close()
})

t.test('answers each row as if it were alone', async (t) => {
  const graph = await engine.load(await saved(t))
  const { probabilities } = await graph.run(batch, ['probabilities'])
  for (const row of [0, 1]) {
    const inputs = {
      sparse: batch.inputs.sparse.subarray(row * 2, row * 2 + 2),
      dense: batch.inputs.dense.subarray(row, row + 1),
    }
    const alone = await graph.run({ rows: 1, inputs }, ['probabilities'])
    for (const task of [0, 1]) t.ok(Math.abs(alone.probabilities![task]! - probabilities![row * 2 + task]!) < 1e-6)
  }
  await graph.close()
})

t.test('takes int32 ids where the file wants int64, and ids where it wants float32', async (t) => {
  const expected = await run(await saved(t))
  const wide = await savedOnnx(t, (model) => {
    tensorType(model, 'input', 0).elemType = DataType.INT64
  })
  const graph = await engine.load(wide)
  t.equal(graph.signature.inputs[0]!.dtype, 'int32')
  t.same(await graph.run(batch, outputs), expected)
  // A smaller batch after a larger one.
  const first = await graph.run({ rows: 1, inputs: { sparse: Int32Array.of(0, 5), dense: Float32Array.of(0.5) } }, [
    'gate',
  ])
  for (const [i, weight] of first.gate!.entries()) t.ok(Math.abs(weight - expected.gate![i]!) < 1e-6)
  await graph.close()

  const dense = await engine.load(await saved(t))
  const integers = { sparse: batch.inputs.sparse, dense: Int32Array.of(1, -2) }
  const floats = { sparse: batch.inputs.sparse, dense: Float32Array.of(1, -2) }
  t.same(await dense.run({ rows: 2, inputs: integers }, outputs), await dense.run({ rows: 2, inputs: floats }, outputs))
  await dense.close()

  async function run(source: GraphSource) {
    const graph = await engine.load(source)
    const answers = await graph.run(batch, outputs)
    await graph.close()
    return answers
  }
})

t.test('rejects a bad batch and stays usable', async (t) => {
  const graph = await engine.load(await saved(t))
  const { sparse, dense } = batch.inputs
  const failed = (message: RegExp) => ({ code: 'MODEL_FAILED', message })
  await t.rejects(graph.run({ rows: 2, inputs: { sparse } }, outputs), failed(/the input dense is missing/))
  await t.rejects(graph.run({ rows: 3, inputs: { sparse, dense } }, outputs), failed(/the input sparse holds 4 values/))
  const floats = { sparse: Float32Array.from(sparse), dense }
  await t.rejects(graph.run({ rows: 2, inputs: floats }, outputs), failed(/the input sparse takes int32 values/))
  const beyond = { sparse: Int32Array.of(0, 9, 0, 0), dense }
  await t.rejects(graph.run({ rows: 2, inputs: beyond }, outputs), failed(/embedding/))
  const negative = { sparse: Int32Array.of(0, -1, 0, 0), dense }
  await t.rejects(graph.run({ rows: 2, inputs: negative }, outputs), failed(/the input sparse holds the id -1/))
  await t.rejects(graph.run(batch, ['nowhere']), failed(/nowhere/))
  t.equal((await graph.run(batch, outputs)).logits!.length, 4)
  await graph.close()
})

t.test('closes once, and answers nothing afterwards', async (t) => {
  const graph = await engine.load(await saved(t))
  await graph.close()
  await graph.close()
  await t.rejects(graph.run(batch, outputs), { code: 'MODEL_FAILED', message: 'model.json: is closed' })
})

t.test('refuses at load what it can not run', async (t) => {
  const unsupported = (message: RegExp) => ({ code: 'UNSUPPORTED_GRAPH', message })
  const unknown = await savedOnnx(t, (model) => {
    model.graph!.node[0]!.opType = 'Frobnicate'
  })
  await t.rejects(engine.load(unknown), unsupported(/^model\.onnx: .*embedding.*Frobnicate/))
  const fixed = await savedOnnx(t, (model) => {
    tensorType(model, 'input', 1).shape!.dim[0]!.value = { case: 'dimValue', value: 1n }
  })
  await t.rejects(engine.load(fixed), unsupported(/the input dense has room for 1 rows alone/))
  const open = await savedOnnx(t, (model) => {
    tensorType(model, 'input', 0).shape!.dim[1]!.value = { case: 'dimParam', value: 'fields' }
  })
  await t.rejects(engine.load(open), unsupported(/the input sparse has no fixed width: \[batch,fields\]/))
  const openOutput = await savedOnnx(t, ({ graph }) => {
    // Which columns of the logits it keeps, only running it tells.
    const { FLOAT, BOOL } = DataType
    const axis = { name: 'axis', type: AttributeType.INT, i: 1n }
    const keep = { name: 'keep', dataType: BOOL, dims: [2n], rawData: Uint8Array.of(1, 0) }
    const some = { opType: 'Compress', input: ['logits', 'keep'], output: ['some'], attribute: [axis] }
    const type = { value: { case: 'tensorType' as const, value: { elemType: FLOAT } } }
    graph!.initializer.push(create(TensorProtoSchema, keep))
    graph!.node.push(create(NodeProtoSchema, some))
    graph!.output.push(create(ValueInfoProtoSchema, { name: 'some', type }))
  })
  await t.rejects(engine.load({ ...openOutput, outputs: ['some'] }), unsupported(/the output some has no fixed width/))
  const double = await savedOnnx(t, (model) => {
    tensorType(model, 'input', 0).elemType = DataType.UINT8
  })
  await t.rejects(engine.load(double), { code: 'UNSUPPORTED_GRAPH' })
})

t.test('refuses at load what it can not read', async (t) => {
  const source = await savedOnnx(t, () => {})
  const invalid = (message: RegExp) => ({ code: 'INVALID_BUNDLE', message })
  await t.rejects(engine.load({ ...source, file: 'none.onnx' }), invalid(/^none\.onnx: is missing$/))
  await t.rejects(engine.load({ ...source, file: '../model.onnx' }), invalid(/is not a path inside the folder/))
  await t.rejects(
    engine.load({ ...source, outputs: ['nowhere'] }),
    invalid(/^model\.onnx: there is no output nowhere$/),
  )
  for (const [name, content] of [
    ['text.onnx', 'not an ONNX file'],
    ['empty.onnx', ''],
  ] as const) {
    await writeFile(join(source.folder, name), content)
    await t.rejects(engine.load({ ...source, file: name }), invalid(/onnx: is not an ONNX file$/))
  }
  const layers = { ...source, format: 'layers' as const, file: 'model.json' }
  await t.rejects(engine.load({ ...layers, outputs: ['nowhere'] }), invalid(/^model\.json: there is no layer nowhere/))
})
