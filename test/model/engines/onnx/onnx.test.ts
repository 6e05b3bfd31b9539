import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import t, { type Test } from 'tap'
import type { Batch, GraphSource } from '../../../../src/model/contracts/engine.ts'
import { createOnnxEngine } from '../../../../src/model/engines/onnx/onnx.ts'
import { buildArchitecture } from '../../../../src/model/graph/architectures/build.ts'
import { prepare } from '../../../../src/model/graph/compile/prepare.ts'
import { costsFile } from '../../../../src/model/graph/compile/stored-files.ts'
import {
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataType as DataType,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from '../../../../src/model/graph/ir/onnx_pb.ts'
import { readLayersModel } from '../../../../src/model/graph/lower/layers/layers-model.ts'
import { lowerToGraph } from '../../../../src/model/graph/lower/layers/lower-layers.ts'
import { layersModelFiles } from '../../../../src/model/graph/lower/layers/write-layers-model.ts'
import type { Sides } from '../../../../src/model/graph/sides/split-graphs.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { writeFiles } from '../../../support/layers-model.ts'

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
  await writeFiles(folder, layersModelFiles(built))
  return { folder, format: 'layers', file: 'model.json', outputs }
}

/** The same model as an ONNX file, changed. */
async function savedOnnx(t: { testdir(): string }, change: (model: ModelProto) => void): Promise<GraphSource> {
  const source = await saved(t)
  const model = lowerToGraph(await readLayersModel(source.folder, source.file), outputs).toModel()
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
  await t.rejects(engine.load({ ...source, file: 'none.onnx' }), invalid(/^none\.onnx: can't be read: it is missing$/))
  await t.rejects(engine.load({ ...source, file: '../model.onnx' }), invalid(/is not a path inside the folder/))
  await t.rejects(
    engine.load({ ...source, outputs: ['nowhere'] }),
    invalid(/^model\.onnx: there is no output nowhere, but .+$/),
  )
  for (const [name, content, reason] of [
    ['text.onnx', 'not an ONNX file', /^text\.onnx: is not an ONNX file$/],
    ['empty.onnx', '', /^empty\.onnx: the ONNX model has no graph$/],
  ] as const) {
    await writeFile(join(source.folder, name), content)
    await t.rejects(engine.load({ ...source, file: name }), invalid(reason))
  }
  const layers = { ...source, format: 'layers' as const, file: 'model.json' }
  await t.rejects(engine.load({ ...layers, outputs: ['nowhere'] }), invalid(/^model\.json: there is no layer nowhere/))
})

/** The model with its compiled plan, which is gone when the test ends. */
async function planned(t: Test, source: GraphSource): Promise<GraphSource> {
  const request = {
    output: 'probabilities',
    sides: { sparse: ['context', 'candidate'], dense: ['candidate'] } as Sides,
    fields: {},
    precision: 'float32' as const,
    quantization: undefined,
    identity: '',
    cache: await temporaryFolder(t),
    now: 0,
  }
  const { plan, problem } = await prepare({ ...request, source })
  if (plan === undefined) throw new Error(problem)
  return { ...source, plan, cacheBytes: 1 << 20 }
}

const near = (a: Float32Array, b: Float32Array) =>
  a.length === b.length && a.every((value, i) => Math.abs(value - b[i]!) < 1e-6)

t.test('a compiled plan answers what it was made for, and the graph as it was saved the rest', async (t) => {
  const source = await saved(t)
  const exported = await engine.load(source)
  const expected = await exported.run(batch, outputs)
  await exported.close()
  // Where costs are measured, the saved graph may be the cheaper one.
  const compiled = await planned(t, source)
  const [cheap, dear] = [
    { a: 1, b: 1 },
    { a: 9, b: 9 },
  ]
  const costs = { full: cheap, shared_context: dear, cached: dear, candidate_encoder: dear }
  const graph = await engine.load({ ...compiled, plan: { ...compiled.plan!, costs } })
  t.same(graph.signature, {
    inputs: [
      { name: 'sparse', dtype: 'int32', width: 2 },
      { name: 'dense', dtype: 'float32', width: 1 },
    ],
    outputs: [{ name: 'probabilities', width: 2 }],
  })
  // The saved graph is not opened for this.
  await rename(join(source.folder, 'model.json'), join(source.folder, 'away.json'))
  const answer = await graph.run(batch, ['probabilities'])
  t.same(Object.keys(answer), ['probabilities'])
  t.ok(near(answer.probabilities!, expected.probabilities!))
  t.match(graph.stats!(), { rows: { exported: 0 } })

  await t.rejects(graph.run(batch, ['gate']), { code: 'INVALID_BUNDLE' })
  await rename(join(source.folder, 'away.json'), join(source.folder, 'model.json'))
  const gates = await graph.run(batch, ['gate', 'probabilities'])
  t.ok(near(gates.gate!, expected.gate!))
  t.ok(near(gates.probabilities!, expected.probabilities!))
  t.ok(near((await graph.run(batch, ['logits'])).logits!, expected.logits!))
  t.same(await graph.run({ rows: 0, inputs: {} }, ['gate']), { gate: new Float32Array(0) })
  t.same(await graph.run({ rows: 0, inputs: {} }, ['probabilities']), { probabilities: new Float32Array(0) })
  await graph.close()
})

t.test('the graph as it was saved is timed beside its plan, and not opened where that is no use', async (t) => {
  const source = await planned(t, await saved(t))
  const { folder, description } = source.plan!
  const file = join(folder, '..', costsFile(description.float32.structure))
  const measured = async (source: GraphSource) => {
    const graph = await engine.load(source)
    t.same(graph.stats!().memory.weights, 0, 'it is closed')
    t.same(graph.stats!().rows.exported, 0)
    await graph.close()
    const { costs } = JSON.parse(await readFile(file, 'utf8'))
    await rm(file)
    return costs
  }
  t.match(await measured(source), { saved: { a: Number, b: Number }, full: { a: Number, b: Number } })
  const passes = description.passes.map((pass) => ({ ...pass, bytes: 65 * 2 ** 20 }))
  const large = { ...source, plan: { ...source.plan!, description: { ...description, passes } } }
  t.notOk('saved' in (await measured(large)), 'one with many constants is not')
  await rename(join(source.folder, 'model.json'), join(source.folder, 'away.json'))
  t.notOk('saved' in (await measured(source)), 'one that fails is left out')
})

t.test('its rows are counted by how they are computed', async (t) => {
  const ways = {
    full: { a: 1, b: 1 },
    shared_context: { a: 9, b: 9 },
    cached: { a: 0, b: 0 },
    candidate_encoder: { a: 0, b: 0 },
  }
  const source = await planned(t, await saved(t))
  const graph = await engine.load({ ...source, plan: { ...source.plan!, costs: ways } })
  const same = { rows: 2, inputs: { sparse: Int32Array.of(0, 5, 0, 8), dense: Float32Array.of(0.5, -2) } }
  const { files } = source.plan!.description
  // The shared-context variant never pays.
  const variants = Object.entries(files).reduce(
    (sum, [name, { bytes }]) => sum + (/(?<!shared-context)\.onnx$/.test(name) ? bytes : 0),
    0,
  )
  for (let i = 0; i < 3; i++) await graph.run(same, ['probabilities'])
  t.same(graph.stats!().memory, { weights: 0, variants, tables: 0 })
  // That opens the graph as it was saved, too.
  await graph.run(same, ['gate'])
  t.equal(graph.stats!().memory.weights, (await engine.load(await saved(t))).stats!().memory.weights)
  t.match(graph.stats!(), {
    rows: { exported: 2, full: 2, shared_context: 0, cached: 4 },
    cache: { ...graph.stats!().cache, hits: 2, misses: 4, entries: 2, evictions: 0 },
  })
  await graph.close()
  const exported = (await engine.load(await saved(t))).stats!()
  t.match(exported, { rows: { exported: 0, full: 0 }, memory: { variants: 0, tables: 0 } })
  t.ok(exported.memory.weights > 500)
})

t.test('a compiled plan refuses what the graph refuses, and stays usable', async (t) => {
  const graph = await engine.load(await planned(t, await saved(t)))
  const { sparse, dense } = batch.inputs
  const failed = (message: RegExp) => ({ code: 'MODEL_FAILED', message })
  const run = (inputs: Batch['inputs'], rows = 2) => graph.run({ rows, inputs }, ['probabilities'])
  await t.rejects(run({ sparse }), failed(/^the input dense is missing$/))
  await t.rejects(run({ sparse, dense }, 3), failed(/^the input sparse holds 4 values; 3 rows of 2 are 6$/))
  await t.rejects(run({ sparse: Float32Array.from(sparse), dense }), failed(/^the input sparse takes int32 values/))
  await t.rejects(run({ sparse: Int32Array.of(0, -1, 0, 0), dense }), failed(/^the input sparse holds the id -1$/))
  await t.rejects(run({ sparse: Int32Array.of(0, 9, 0, 0), dense }), failed(/^model\.json: .*9/))
  const { probabilities } = await run({ sparse, dense })
  t.equal(probabilities!.length, 4)
  const integers = await run({ sparse, dense: Int32Array.of(1, -2) })
  t.ok(near(integers.probabilities!, (await run({ sparse, dense: Float32Array.of(1, -2) })).probabilities!))
  await graph.close()
})

t.test('of an ONNX file negative ids count from the end of the table, with a plan too', async (t) => {
  const source = await savedOnnx(t, () => {})
  const graph = await engine.load(await planned(t, source))
  const run = async (...ids: number[]) =>
    (
      await graph.run({ rows: 1, inputs: { sparse: Int32Array.from(ids), dense: Float32Array.of(1) } }, [
        'probabilities',
      ])
    ).probabilities!
  t.ok(near(await run(-1, -9), await run(8, 0)))
  await graph.close()
})

t.test('a compiled plan closes once, and what was opened beside it', async (t) => {
  const graph = await engine.load(await planned(t, await saved(t)))
  await graph.run(batch, ['gate'])
  await graph.close()
  await graph.close()
  for (const wanted of [['probabilities'], ['gate']])
    await t.rejects(graph.run(batch, wanted), { code: 'MODEL_FAILED', message: 'model.json: is closed' })
})

t.test('a plan that can not be opened is refused at load', async (t) => {
  const source = await planned(t, await saved(t))
  await rm(source.plan!.folder, { recursive: true })
  await t.rejects(engine.load(source), {
    code: 'MODEL_FAILED',
    message: /^the compiled plan's float32-full\.onnx can't be opened: /,
  })
})
