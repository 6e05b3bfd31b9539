import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import t, { type Test } from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { compile } from '../../../../src/model/graph/compile/compile.ts'
import { compilerVersion, planFile, readPlan, savePlan } from '../../../../src/model/graph/compile/plan-files.ts'
import { cleanCache } from '../../../../src/model/graph/compile/stored-files.ts'
import { Graph } from '../../../../src/model/graph/ir/graph.ts'
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  StringStringEntryProtoSchema,
  TensorProtoSchema,
} from '../../../../src/model/graph/ir/onnx_pb.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { Dice } from '../../../support/compile/dice.ts'
import {
  buildModel,
  distance,
  exampleModel,
  output,
  rowsOf,
  savedAnswers,
  sidesOf,
} from '../../../support/compile/random-model.ts'
import { answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'

async function compiled(graph = buildModel(exampleModel)) {
  return compile(graph, { sides: sidesOf(exampleModel), fields: {}, quantization: undefined })
}

/** A plan.json of one's own, validly sealed. */
const sealed = (text: string) => `${createHash('sha256').update(text).digest('hex')}\n${text}`

const hour = 3600_000

t.test('what is saved is read again, and its files are plans that answer alike', async (t) => {
  const folder = join(await temporaryFolder(t), 'plan')
  const saved = await savePlan(folder, output, await compiled())
  t.same(await readPlan(folder), saved)
  t.same((await readdir(folder)).sort(), [...Object.keys(saved.files), planFile].sort())
  t.match(saved, {
    compiler: compilerVersion,
    output,
    width: 2,
    inputs: [
      { name: 'sparse', dtype: 'int32', width: 3 },
      { name: 'dense', dtype: 'float32', width: 3 },
    ],
    float32: { full: { file: 'float32-full.onnx' }, candidate_encoder: { rows: [{ columns: [1] }, { columns: [1] }] } },
  })
  const session = await ort.InferenceSession.create(join(folder, saved.float32.full.file))
  const { inputs, rows } = rowsOf(exampleModel, 5, 1)
  const answers = await session.run({
    sparse: new ort.Tensor('int32', inputs.sparse as Int32Array, [rows, 3]),
    dense: new ort.Tensor('float32', inputs.dense as Float32Array, [rows, 3]),
  })
  const expected = await savedAnswers(buildModel(exampleModel), { rows, inputs })
  t.ok(distance(answers[output]!.data as Float32Array, expected) < 1e-5)
})

t.test('the files of a plan answer small probabilities precisely', async (t) => {
  const graph = emptyGraph({ x: { dtype: DataType.FLOAT, dims: [-1, 2] } })
  const logit = graph.node('Gemm', ['x', graph.constant('weights', Float32Array.of(1, 1), [2, 1])])
  answerWith(graph, graph.node('Sigmoid', [logit]))
  const name = graph.outputs[0]!.name
  const folder = join(await temporaryFolder(t), 'plan')
  const { float32 } = await savePlan(
    folder,
    name,
    await compile(graph, { sides: undefined, fields: {}, quantization: undefined }),
  )
  const session = await ort.InferenceSession.create(join(folder, float32.full.file))
  const x = Float32Array.from({ length: 80 }, (_, i) => -(i >> 1) / 4)
  const answers = (await session.run({ x: new ort.Tensor('float32', x, [40, 2]) }))[name]!.data as Float32Array
  for (const [row, p] of answers.entries()) {
    const exact = 1 / (1 + Math.exp(row / 2))
    t.ok(Math.abs(p / exact - 1) < 1e-6, `${p}, exactly ${exact}`)
  }
})

t.test('a folder without a plan has none', async (t) => {
  const folder = await temporaryFolder(t)
  t.equal(await readPlan(join(folder, 'nowhere')), undefined)
  t.equal(await readPlan(folder), undefined)
})

t.test('says what is wrong with a plan', async (t) => {
  const folder = await temporaryFolder(t)
  const damages: [string, (plan: string) => Promise<unknown>, RegExp][] = [
    [
      'a truncated graph',
      (plan) => truncate(join(plan, 'float32-cached.onnx'), 10),
      /^float32-cached\.onnx has 10 bytes, not \d+$/,
    ],
    ['a flipped bit', (plan) => flipBit(join(plan, 'float32-full.onnx')), /^float32-full\.onnx is damaged$/],
    [
      'a missing file',
      (plan) => rm(join(plan, 'float32-candidate-encoder.onnx')),
      /^float32-candidate-encoder\.onnx is missing$/,
    ],
    ['a truncated description', (plan) => truncate(join(plan, planFile), 300), /^plan\.json is damaged$/],
    ['an empty description', (plan) => truncate(join(plan, planFile), 0), /^plan\.json is damaged$/],
    ['text', (plan) => writeFile(join(plan, planFile), 'a plan'), /^plan\.json is damaged$/],
    ['a flipped bit of the description', (plan) => flipBit(join(plan, planFile)), /^plan\.json is damaged$/],
    ['no JSON', (plan) => writeFile(join(plan, planFile), sealed('{')), /^plan\.json is not JSON: /],
    [
      'another compiler',
      (plan) => writeFile(join(plan, planFile), sealed('{"compiler":0}')),
      /^plan\.json was made by version 0 of the compiler, not \d+$/,
    ],
    [
      'nothing at all',
      (plan) => writeFile(join(plan, planFile), sealed('null')),
      /^plan\.json was made by version undefined of the compiler, not \d+$/,
    ],
  ]
  const plans = await compiled()
  for (const [what, damage, message] of damages) {
    const plan = join(folder, what.replaceAll(' ', '-'))
    await savePlan(plan, output, plans)
    await damage(plan)
    await t.rejects(readPlan(plan), { message }, what)
  }
  await writeFile(join(folder, 'file'), '')
  await t.rejects(readPlan(join(folder, 'file')), { code: 'ENOTDIR' })
})

async function flipBit(path: string): Promise<void> {
  const bytes = await readFile(path)
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  await writeFile(path, bytes)
}

t.test('of two writers at once one wins, and nothing is left of the other', async (t) => {
  const cache = await temporaryFolder(t)
  const folder = join(cache, 'plan')
  const plans = [await compiled(), await compiled(), await compiled()]
  const saved = await Promise.all(plans.map((plan) => savePlan(folder, output, plan)))
  for (const description of saved) t.same(description, await readPlan(folder))
  t.same(await readdir(cache), ['plan'])
})

t.test('what stands in its place and is no plan gives way', async (t) => {
  const cache = await temporaryFolder(t)
  const folder = join(cache, 'plan')
  await mkdir(join(folder, 'empty'), { recursive: true })
  await writeFile(join(folder, 'float32-full.onnx'), 'remains')
  await savePlan(folder, output, await compiled())
  t.ok(await readPlan(folder))
  t.same(await readdir(cache), ['plan'])
})

t.test('nothing is left behind where it can not be written', async (t) => {
  const cache = await temporaryFolder(t)
  await writeFile(join(cache, 'file'), '')
  await t.rejects(savePlan(join(cache, 'file'), output, await compiled()), { code: 'ENOTDIR' })
  await t.rejects(savePlan(join(cache, 'file', 'plan'), output, await compiled()), { code: 'ENOTDIR' })
  const plans = await compiled()
  // Found only once files are being written.
  plans.float32.full.graph.shapes.delete(output)
  await t.rejects(savePlan(join(cache, 'plan'), output, plans), {
    message: 'probabilities does not have one row per row of the batch',
  })
  t.same(await readdir(cache), ['file'])
})

t.test('cleaning removes what nobody has used lately, and nothing else', async (t) => {
  const cache = await temporaryFolder(t)
  const key = (digit: string) => digit.repeat(32)
  const now = Date.now()
  const day = 24 * hour
  const entries: [string, number, boolean][] = [
    [key('a'), 6.9 * day, true],
    [key('b'), 7.1 * day, false],
    [`${key('a')}.123.0a1b2c3d`, 0.9 * hour, true],
    [`${key('b')}.123.0a1b2c3d`, 1.1 * hour, false],
    [`${key('c')}.99999.ffffffff`, 400 * day, false],
    ['somebody-elses', 400 * day, true],
    [key('g'), 400 * day, true],
    [key('d'), -day, true],
  ]
  for (const [name, age] of entries) {
    await mkdir(join(cache, name))
    await writeFile(join(cache, name, 'file'), '')
    await utimes(join(cache, name), new Date(now - age), new Date(now - age))
  }
  await cleanCache(cache, now)
  const kept = entries.flatMap(([name, , keep]) => (keep ? [name] : []))
  t.same((await readdir(cache)).sort(), kept.sort())
  // Without a folder there is nothing to clean.
  await cleanCache(join(cache, 'nowhere'), now)
  await cleanCache('/dev/null', now)
})

t.test('cleaning keeps plans within a limit of bytes, the most recently loaded ones first', async (t) => {
  const cache = await temporaryFolder(t)
  const now = Date.now()
  const ages = { a: 0, b: 59_000, c: hour, d: 2 * hour, e: 3 * hour }
  for (const [digit, age] of Object.entries(ages)) {
    const folder = join(cache, digit.repeat(32))
    await mkdir(folder)
    await writeFile(join(folder, 'file'), '12345')
    await utimes(folder, new Date(now - age), new Date(now - age))
  }
  const left = async (most: number) => {
    await cleanCache(cache, now, most)
    return (await readdir(cache))
      .map((name) => name[0])
      .sort()
      .join('')
  }
  t.equal(await left(0), 'abcde')
  t.equal(await left(25), 'abcde')
  t.equal(await left(20), 'abcd')
  t.equal(await left(14), 'ab')
  t.equal(await left(1), 'ab', 'servers that start may be about to load the recent ones')
})

t.test('to read a plan is to use it', async (t) => {
  const cache = await temporaryFolder(t)
  const folder = join(cache, 'e'.repeat(32))
  await savePlan(folder, output, await compiled())
  const long = new Date(Date.now() - 8 * 24 * hour)
  await utimes(folder, long, long)
  await readPlan(folder)
  await cleanCache(cache, Date.now())
  t.same(await readdir(cache), ['e'.repeat(32)])
  await utimes(folder, long, long)
  await cleanCache(cache, Date.now())
  t.same(await readdir(cache), [])
})

t.test('tables', async (t) => {
  /** Sums of rows of two tables; the first is in a file. */
  async function withTables(t: Test, file: string, second: 'memory' | 'file', rows = 3000) {
    const folder = await temporaryFolder(t)
    const dice = new Dice(3)
    const graph = emptyGraph({ ids: { dtype: DataType.INT32, dims: [-1, 2] } })
    const values = [dice.floats(rows * 8), dice.floats(rows * 8)]
    const files = [file, second === 'file' ? 'table-0.bin' : undefined]
    const names = values.map((table, i) => {
      const at = files[i]
      if (at === undefined) return graph.constant('second', table, [rows, 8])
      const name = graph.fresh(`table${i}`)
      graph.constants.set(name, externalTensor(name, [rows, 8], at, 16, table.byteLength))
      return name
    })
    for (const [i, at] of files.entries())
      if (at !== undefined)
        await writeFile(join(folder, at), Buffer.concat([Buffer.alloc(16), Buffer.from(values[i]!.buffer)]))
    const looked = names.map((name) => graph.node('Gather', [name, 'ids']))
    const flat = looked.map((rows) => graph.node('Reshape', [rows, graph.integers([-1, 16])]))
    const weights = graph.constant('weights', dice.floats(32, 0.3), [32, 1])
    const product = graph.node('MatMul', [graph.node('Concat', flat, { attributes: { axis: 1 } }), weights])
    graph.node('Sigmoid', [product], { outputs: [output] })
    answerWith(graph, output)
    const expected = (a: number, b: number) => {
      const weightValues = graph.floats(weights)!
      let sum = 0
      ;[a, b].forEach((id, place) => {
        for (let d = 0; d < 8; d++)
          for (const [i, table] of values.entries()) sum += table[id * 8 + d]! * weightValues[i * 16 + place * 8 + d]!
      })
      return 1 / (1 + Math.exp(-sum))
    }
    return { folder, graph: new Graph({ ...partsOf(graph), folder }), expected }
  }

  await t.test('lie beside the plan, once, however many graphs read them', async (t) => {
    const { graph, folder, expected } = await withTables(t, 'weights.bin', 'memory')
    const plan = join(folder, 'plan')
    const saved = await savePlan(plan, output, await compiledTables(graph))
    t.same(
      Object.keys(saved.files)
        .filter((name) => name.endsWith('.bin'))
        .sort(),
      ['table-0.bin', 'table-1.bin'],
    )
    await answersLike(t, plan, saved.float32.full.file, expected)
    t.equal((await stat(join(folder, 'weights.bin'))).nlink, 2, 'the file of the model itself, not a copy')
  })

  await t.test('a file of the model may have the name of a file of the plan', async (t) => {
    const { graph, folder, expected } = await withTables(t, 'table-1.bin', 'file')
    const plan = join(folder, 'plan')
    const saved = await savePlan(plan, output, await compiledTables(graph))
    await answersLike(t, plan, saved.float32.full.file, expected)
  })

  await t.test('a link, as Kubernetes mounts files, is followed', async (t) => {
    const { graph, folder, expected } = await withTables(t, 'weights.bin', 'memory')
    await mkdir(join(folder, '..data'))
    await rename(join(folder, 'weights.bin'), join(folder, '..data', 'weights.bin'))
    await symlink(join('..data', 'weights.bin'), join(folder, 'weights.bin'))
    const plan = join(folder, 'plan')
    const saved = await savePlan(plan, output, await compiledTables(graph))
    await answersLike(t, plan, saved.float32.full.file, expected)
  })

  await t.test('one that was changed is noticed', async (t) => {
    const { graph, folder } = await withTables(t, 'weights.bin', 'memory')
    const plan = join(folder, 'plan')
    await savePlan(plan, output, await compiledTables(graph))
    t.ok(await readPlan(plan))
    await flipBit(join(folder, 'weights.bin'))
    await t.rejects(readPlan(plan), { message: 'table-0.bin is damaged' })
  })

  await t.test('of a large one the size and the time of its last change are looked at', async (t) => {
    const { graph, folder, expected } = await withTables(t, 'weights.bin', 'memory', 70_000)
    await truncate(join(folder, 'weights.bin'), 65 * 1024 * 1024)
    const plan = join(folder, 'plan')
    const saved = await savePlan(plan, output, await compiledTables(graph))
    t.match(saved.files['table-0.bin'], { sha256: '', changed: Number })
    t.ok(await readPlan(plan))
    await answersLike(t, plan, saved.float32.full.file, expected)
    await utimes(join(folder, 'weights.bin'), new Date(1e12), new Date(1e12))
    await t.rejects(readPlan(plan), { message: 'table-0.bin was changed' })
    await truncate(join(folder, 'weights.bin'), 64 * 1024 * 1024)
    await t.rejects(readPlan(plan), /table-0\.bin/)
  })
})

function compiledTables(graph: Graph) {
  return compile(graph, { sides: { ids: ['context', 'candidate'] }, fields: {}, quantization: undefined })
}

async function answersLike(t: Test, plan: string, file: string, expected: (a: number, b: number) => number) {
  const session = await ort.InferenceSession.create(join(plan, file))
  const ids = [0, 2999, 17, 0]
  const answers = await session.run({ ids: new ort.Tensor('int32', Int32Array.from(ids), [2, 2]) })
  await session.release()
  const values = answers[output]!.data as Float32Array
  t.ok(distance(values, [expected(0, 2999), expected(17, 0)]) < 1e-5, `${values}`)
}

function partsOf(graph: Graph) {
  return {
    inputs: graph.inputs,
    outputs: graph.outputs,
    nodes: graph.nodes,
    constants: graph.constants.values(),
    opsets: new Map([['', 17n]]),
  }
}

function externalTensor(name: string, dims: number[], file: string, offset: number, length: number) {
  const entries = { location: file, offset: `${offset}`, length: `${length}` }
  return create(TensorProtoSchema, {
    name,
    dataType: DataType.FLOAT,
    dims: dims.map(BigInt),
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
  })
}
