import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import t, { type Test } from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import type { CompiledPlan } from '../../../../src/model/contracts/compiled-plan.ts'
import { planFile } from '../../../../src/model/graph/compile/plan-files.ts'
import { prepare } from '../../../../src/model/graph/compile/prepare.ts'
import { prepareInThread } from '../../../../src/model/graph/compile/prepare-in-thread.ts'
import type { Prepared, PrepareRequest } from '../../../../src/model/graph/compile/prepare-request.ts'
import { external, largeTable } from '../../../../src/model/graph/ir/external-data.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  FunctionProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  StringStringEntryProtoSchema,
} from '../../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import {
  buildModel,
  distance,
  exampleModel,
  output,
  quantizationOf,
  type RandomModel,
  requestFor,
  rowsOf,
  savedAnswers,
} from '../../../support/compile/random-model.ts'
import { answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'

const folder = await temporaryFolder(t)
// Other tests make temporary plans at the same time, elsewhere.
process.env.TMPDIR = await temporaryFolder(t)
const batch = rowsOf(exampleModel, 7, 5)
const expected = await savedAnswers(buildModel(exampleModel), batch)

/** The answers of a plan's whole graph; a temporary plan is removed. */
async function answers({ folder, description, origin }: CompiledPlan): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(join(folder, description.float32.full.file), {
    logSeverityLevel: 4,
  })
  const feeds = {
    sparse: new ort.Tensor('int32', batch.inputs.sparse as Int32Array, [7, 3]),
    dense: new ort.Tensor('float32', batch.inputs.dense as Float32Array, [7, 3]),
  }
  const values = (await session.run(feeds))[output]!.data as Float32Array
  await session.release()
  if (origin === 'temporary') await rm(dirname(folder), { recursive: true })
  return values
}

async function works(t: Test, { plan, problem }: Prepared, origin: CompiledPlan['origin']): Promise<void> {
  t.equal(problem, undefined)
  t.equal(plan?.origin, origin)
  t.ok(distance(await answers(plan!), expected) < 1e-5, 'it answers as the saved graph does')
}

const temporaryPlans = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('multigate-plan-'))

t.test('compiled once, then taken from the cache', async (t) => {
  const cache = join(await temporaryFolder(t), 'is', 'made')
  const request = await requestFor(exampleModel, folder, { cache })
  const first = await prepare(request)
  t.same(first.warnings, [])
  await works(t, first, 'compiled')
  const second = await prepare(request)
  await works(t, second, 'cached')
  t.same(second.plan?.description, first.plan?.description)
  t.equal((await readdir(cache)).length, 1)
})

t.test('whatever a plan depends on has a plan of its own', async (t) => {
  const cache = await temporaryFolder(t)
  const model: RandomModel = { ...exampleModel, width: 4 }
  const quantization = await quantizationOf(model, buildModel(model), 20)
  const request = await requestFor(model, folder, { cache })
  const others: Partial<PrepareRequest>[] = [
    {},
    { identity: 'other files' },
    { sides: { ...request.sides, dense: ['cross', 'cross', 'cross'] } },
    { sides: undefined },
    { fields: {} },
    { precision: 'int8' },
    { precision: 'int8', quantization },
    { tables: 'float16' },
    { tables: 'float16', quantization },
    { tables: 'int8', quantization },
  ]
  for (const changes of others) t.equal((await prepare({ ...request, ...changes })).plan?.origin, 'compiled')
  for (const changes of others) t.equal((await prepare({ ...request, ...changes })).plan?.origin, 'cached')
  t.equal((await readdir(cache)).length, others.length)
  // The rows mean nothing to float32, nor does the time.
  t.equal((await prepare({ ...request, quantization, now: 0 })).plan?.origin, 'cached')
})

t.test('a damaged plan is made anew, and that is said', async (t) => {
  const cache = await temporaryFolder(t)
  const request = await requestFor(exampleModel, folder, { cache })
  const { plan } = await prepare(request)
  const own = plan!.folder
  const damages: [() => Promise<unknown>, RegExp | undefined][] = [
    [() => truncate(join(own, 'float32-full.onnx'), 100), /float32-full\.onnx has 100 bytes, not \d+$/],
    [() => truncate(join(own, planFile), 70), /plan\.json is damaged$/],
    [() => rm(join(own, 'float32-cached.onnx')), /float32-cached\.onnx is missing$/],
    [() => replaceWithFile(own), /ENOTDIR/],
    [() => replaceWithFolder(join(own, planFile)), /EISDIR/],
    // As if there were none.
    [() => rm(join(own, planFile)), undefined],
    [() => replaceWithFolder(own), undefined],
  ]
  for (const [damage, reason] of damages) {
    await damage()
    const again = await prepare(request)
    if (reason === undefined) t.same(again.warnings, [])
    else {
      t.equal(again.warnings.length, 1)
      t.match(again.warnings[0], /^a compiled plan in the cache is unusable and is compiled again: /)
      t.match(again.warnings[0], reason)
    }
    await works(t, again, 'compiled')
    await works(t, await prepare(request), 'cached')
  }
  t.equal((await readdir(cache)).length, 1)
})

async function replaceWithFile(path: string): Promise<void> {
  await rm(path, { recursive: true })
  await writeFile(path, 'a file')
}

async function replaceWithFolder(path: string): Promise<void> {
  await rm(path, { recursive: true })
  await mkdir(path)
}

t.test('a cache that can not be written to only costs time', async (t) => {
  const root = await temporaryFolder(t)
  await writeFile(join(root, 'file'), '')
  for (const cache of [join(root, 'file'), join(root, 'file', 'cache'), '/dev/full', '/proc/cache', '/proc']) {
    const request = await requestFor(exampleModel, folder, { cache })
    const prepared = await prepare(request)
    const [warning = '', reason = ''] = (prepared.warnings.at(-1) ?? '').split(`in the cache ${cache}: `)
    t.equal(warning, "the compiled plan can't be stored ")
    t.ok(reason.startsWith('E') || reason === `a file is in the place of the folder ${cache}`, reason)
    if (cache.startsWith(root)) t.match(reason, /^a file is in the place of/)
    await works(t, prepared, 'temporary')
  }
  t.same(await readdir(root), ['file'])
})

t.test('where temporary files can not be written either, the graph runs as it was saved', async (t) => {
  const root = await temporaryFolder(t)
  await writeFile(join(root, 'file'), '')
  const { TMPDIR } = process.env
  t.teardown(() => {
    process.env.TMPDIR = TMPDIR
  })
  for (const [cache, temporary, reason] of [
    [join(root, 'file'), join(root, 'file'), `a file is in the place of the folder ${join(root, 'file')}`],
    ['/proc/cache', '/proc', 'ENOENT: no such file or directory'],
    [undefined, '/proc', 'ENOENT: no such file or directory'],
  ] as const) {
    process.env.TMPDIR = temporary
    const { plan, problem, unstored } = await prepare(await requestFor(exampleModel, folder, { cache }))
    t.equal(plan, undefined)
    t.match(problem, /^E[A-Z]+: /)
    t.equal(unstored, `${reason}, so the graph runs as it was saved`)
  }
})

t.test('a full disk only costs time, too', async (t) => {
  const disk = await temporaryFolder(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24k', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    return t.pass('a full disk', { skip: 'no file system can be mounted here' })
  }
  t.teardown(() => execFileSync('umount', [disk]))
  const prepared = await prepare(await requestFor(exampleModel, folder, { cache: disk }))
  t.equal(prepared.warnings.length, 1)
  t.match(prepared.warnings[0], /^the compiled plan can't be stored in the cache .*: ENOSPC/)
  await works(t, prepared, 'temporary')
  t.same(await readdir(disk), [])
})

t.test('several at once neither harm nor wait for each other', async (t) => {
  const cache = await temporaryFolder(t)
  const request = await requestFor(exampleModel, folder, { cache })
  const all = await Promise.all(Array.from({ length: 5 }, () => prepareInThread(request)))
  for (const prepared of all) {
    t.same(prepared.warnings, [])
    await works(t, prepared, prepared.plan!.origin)
    t.not(prepared.plan!.origin, 'temporary')
  }
  t.equal((await readdir(cache)).length, 1)
})

t.test('what interrupted writers left, and plans that nobody uses, are cleaned when one is added', async (t) => {
  const cache = await temporaryFolder(t)
  const request = await requestFor(exampleModel, folder, { cache })
  const now = Date.now()
  const day = 24 * 3600_000
  const { plan } = await prepare({ ...request, identity: 'old' })
  const leftover = `${'0'.repeat(32)}.4242.deadbeef`
  await mkdir(join(cache, leftover))
  await utimes(join(cache, leftover), new Date(now - day), new Date(now - day))
  await prepare({ ...request, now })
  t.equal((await readdir(cache)).length, 2, 'the leftover is gone, the other plan is not')
  await prepare({ ...request, identity: 'new', now: now + 8 * day })
  t.equal((await readdir(cache)).length, 1)
  t.not((await readdir(cache))[0], plan!.folder)
})

t.test('without a cache a plan is temporary', async (t) => {
  const before = await temporaryPlans()
  const prepared = await prepare(await requestFor(exampleModel, folder))
  t.same(prepared.warnings, [])
  t.equal((await temporaryPlans()).length, before.length + 1)
  await works(t, prepared, 'temporary')
  t.same(await temporaryPlans(), before)
})

/** A small graph of one float input `x` [batch, 2] that answers its sigmoid, changed before it is written. */
async function requestOf(change: (graph: Graph) => void, x = floatShape(-1, 2), opset = 17): Promise<PrepareRequest> {
  const graph = emptyGraph({ x }, opset)
  change(graph)
  if (graph.outputs.length === 0) answerWith(graph, output)
  await writeFile(join(folder, 'odd.onnx'), graph.toBytes())
  return {
    source: { folder, format: 'onnx', file: 'odd.onnx', outputs: [output] },
    output,
    sides: { x: ['context', 'candidate'] },
    fields: {},
    precision: 'float32',
    quantization: undefined,
    identity: 'odd',
    cache: undefined,
    now: 0,
  }
}

const sigmoid = (graph: Graph, x = 'x') => graph.node('Sigmoid', [x], { outputs: [output] })

t.test('what can not be compiled is left alone, and it is said why', async (t) => {
  const before = await temporaryPlans()
  const cases: [string, PrepareRequest | (() => Promise<PrepareRequest>), RegExp][] = [
    [
      'an old operator set',
      () => requestOf(sigmoid, floatShape(-1, 2), 12),
      /^its operator set is 12: 13 and later are compiled$/,
    ],
    [
      'text as input',
      () =>
        requestOf((graph) => sigmoid(graph, graph.node('Cast', ['x'], { attributes: { to: 1 } })), {
          dtype: DataType.STRING,
          dims: [-1, 2],
        }),
      /^the input x is string$/,
    ],
    [
      'too many nodes',
      () =>
        requestOf((graph) => {
          let x = 'x'
          for (let i = 0; i < 2001; i++) x = graph.node('Neg', [x])
          sigmoid(graph, x)
        }),
      /^it has 2002 nodes, more than 2000$/,
    ],
    [
      'an operator that ONNX Runtime does not know',
      () => requestOf((graph) => sigmoid(graph, graph.node('Frobnicate', ['x']))),
      /Frobnicate/,
    ],
    [
      'answers that are not one row a row',
      () =>
        requestOf((graph) => {
          const twice = graph.node('Concat', ['x', 'x'], { attributes: { axis: 0 } })
          sigmoid(graph, twice)
        }),
      /^probabilities does not have one row per row of the batch$/,
    ],
  ]
  for (const [what, request, message] of cases) {
    const cache = join(folder, 'cache')
    const prepared = await prepare({ ...(typeof request === 'function' ? await request() : request), cache })
    t.equal(prepared.plan, undefined, what)
    t.match(prepared.problem, message, what)
    t.same(prepared.warnings, [], what)
    t.same(await readdir(cache).catch(() => []), [])
  }
  t.same(await temporaryPlans(), before)
})

t.test('a write into the file of a table does not reach a plan', async (t) => {
  const own = await temporaryFolder(t)
  const cache = join(own, 'cache')
  const table = Float32Array.from({ length: largeTable / 4 }, (_, i) => i / largeTable)
  await writeFile(join(own, 'table.bin'), table)
  const graph = emptyGraph({ x: { dtype: DataType.INT32, dims: [-1, 1] } })
  graph.constants.set(
    'table',
    external(
      { name: 'table', dataType: DataType.FLOAT, dims: [BigInt(largeTable / 8), 2n] },
      'table.bin',
      0,
      largeTable,
    ),
  )
  const rows = graph.node('Gather', ['table', 'x'])
  const flat = graph.node('Reshape', [rows, graph.integers([-1, 2])])
  sigmoid(graph, graph.node('Gemm', [flat, graph.constant('w', Float32Array.of(1, 2), [2, 1])]))
  answerWith(graph, output)
  await writeFile(join(own, 'model.onnx'), graph.toBytes())
  const request: PrepareRequest = {
    source: { folder: own, format: 'onnx', file: 'model.onnx', outputs: [output] },
    output,
    sides: { x: ['candidate'] },
    fields: {},
    precision: 'float32',
    quantization: undefined,
    identity: 'the same',
    cache,
    now: 0,
  }
  const { plan } = await prepare(request)
  const copy = join(plan!.folder, 'table-0.bin')
  const before = await readFile(copy)
  await truncate(join(own, 'table.bin'))
  t.match(await prepare(request), { plan: { origin: 'cached' }, warnings: [] })
  t.ok(before.equals(await readFile(copy)))
  t.ok(before.length > 0)
})

t.test('nor is what can not be read', async (t) => {
  const good = await requestFor(exampleModel, folder)
  const bytes = await readFile(join(folder, 'model.onnx'))
  const files: [string, Uint8Array | string, RegExp][] = [
    ['text', 'no graph at all', /^bad\.onnx: is not an ONNX file$/],
    ['nothing', '', /^bad\.onnx: the ONNX model has no graph$/],
    ['half a file', bytes.subarray(0, bytes.length / 2), /^bad\.onnx: is not an ONNX file$/],
  ]
  for (const [what, content, message] of files) {
    await writeFile(join(folder, 'bad.onnx'), content)
    const { plan, problem } = await prepare({ ...good, source: { ...good.source, file: 'bad.onnx' } })
    t.equal(plan, undefined, what)
    t.match(problem, message, what)
  }
  const missing = await prepare({ ...good, source: { ...good.source, file: 'none.onnx' } })
  t.match(missing.problem, /^none\.onnx: can't be read: it is missing/)
  const outside = await prepare({ ...good, source: { ...good.source, file: '../model.onnx' } })
  t.match(outside.problem, /^\.\.\/model\.onnx: is not a path inside the folder of the model$/)
  const other = await prepare({ ...good, output: 'nowhere' })
  t.match(other.problem, /^model\.onnx: there is no output nowhere, but probabilities$/)
})

t.test('nor what contradicts itself or holds what no pass knows', async (t) => {
  const cases: [string, (model: ModelProto) => void, RegExp][] = [
    [
      'functions',
      (model) => model.functions.push(create(FunctionProtoSchema, { name: 'f' })),
      /^odd\.onnx: functions and sparse constants are not compiled$/,
    ],
    [
      'a graph without outputs',
      ({ graph }) => graph!.output.splice(0),
      /^odd\.onnx: there is no output probabilities$/,
    ],
    [
      'a node that reads itself',
      ({ graph }) => {
        graph!.node[0]!.input = [graph!.node[1]!.output[0]!]
      },
      /depends on itself$/,
    ],
    ...['../secret.bin', '/etc/hostname', 'a/../../secret.bin'].map(
      (location): [string, (model: ModelProto) => void, RegExp] => [
        `weights at ${location}`,
        ({ graph }) => {
          const [tensor] = graph!.initializer
          tensor!.rawData = new Uint8Array()
          tensor!.dataLocation = DataLocation.EXTERNAL
          tensor!.externalData = [create(StringStringEntryProtoSchema, { key: 'location', value: location })]
        },
        new RegExp(`${location}: is not a path inside the folder of the model$`),
      ],
    ),
  ]
  const inner = join(folder, 'inner')
  await mkdir(inner, { recursive: true })
  await writeFile(join(folder, 'secret.bin'), Buffer.alloc(64))
  for (const [what, change, message] of cases) {
    const request = await requestOf((graph) =>
      sigmoid(graph, graph.node('Mul', [graph.node('Neg', ['x']), graph.constant('c', Float32Array.of(1, 2), [2])])),
    )
    const model = fromBinary(ModelProtoSchema, await readFile(join(folder, 'odd.onnx')))
    change(model)
    await writeFile(join(inner, 'odd.onnx'), toBinary(ModelProtoSchema, model))
    const { plan, problem } = await prepare({ ...request, source: { ...request.source, folder: inner } })
    t.equal(plan, undefined, what)
    t.match(problem, message, what)
  }
})

t.test('in a thread of its own it answers the same', async (t) => {
  const cache = await temporaryFolder(t)
  const request = await requestFor(exampleModel, folder, { cache })
  const inside = await prepareInThread(request)
  t.equal(inside.plan?.origin, 'compiled')
  t.same(await prepareInThread(request), await prepare(request))
  const bad = { ...request, output: 'nowhere' }
  t.same(await prepareInThread(bad), await prepare(bad))
})

t.test('a thread that dies is a problem, not a crash', async (t) => {
  const script = new URL('../../../support/dying-thread.js', import.meta.url)
  const request = await requestFor(exampleModel, folder)
  const problemOf = (problem: string) => ({ plan: undefined, problem, warnings: [] })
  t.same(await prepareInThread(request, script), problemOf('compiling failed: told to die'))
  t.same(
    await prepareInThread({ ...request, identity: 'exit' }, script),
    problemOf('compiling failed: its thread ended with exit code 3'),
  )
  t.match(await prepareInThread(request, new URL('./nowhere.js', import.meta.url)), {
    problem: /^compiling failed: Cannot find module/,
  })
})

t.test('a small plan in the cache needs no thread', async (t) => {
  const cache = await temporaryFolder(t)
  const request = await requestFor(exampleModel, folder, { cache })
  const nowhere = new URL('./nowhere.js', import.meta.url)
  const needsThread = async (changes: object, what: string) =>
    t.match(await prepareInThread({ ...request, ...changes }, nowhere), { problem: /Cannot find module/ }, what)
  await needsThread({}, 'a plan that is not there')
  const first = await prepareInThread(request)
  const again = await prepareInThread(request, nowhere)
  t.same(again, { ...first, plan: { ...first.plan, origin: 'cached' } })
  await needsThread({ precision: 'int8' }, 'int8 is judged each time')
  const { folder: plan } = first.plan!
  const wide = join(plan, 'wide.bin')
  await writeFile(wide, new Uint8Array(5 * 2 ** 20))
  await needsThread({}, 'a large plan')
  await rm(wide)
  t.ok((await prepareInThread(request, nowhere)).plan)
  await writeFile(join(plan, 'plan.json'), 'damaged')
  await needsThread({}, 'a damaged plan')
  t.match(await prepareInThread(request), {
    plan: { origin: 'compiled' },
    warnings: [/unusable and is compiled again/],
  })
})
