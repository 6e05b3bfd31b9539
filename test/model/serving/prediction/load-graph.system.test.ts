import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import type { EnginePool } from '../../../../src/model/engines/pool/engine-pool.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import { encodeQuantizationRows, type QuantizationRows } from '../../../../src/model/serving/bundle/quantization.ts'
import type { Bundle } from '../../../../src/model/serving/bundle/read.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import { describePlan } from '../../../../src/model/serving/prediction/describe-plan.ts'
import { describeGraph, loadGraph } from '../../../../src/model/serving/prediction/load-graph.ts'
import type { LoadOptions } from '../../../../src/model/serving/prediction/loaded-model.ts'
import { loadModel } from '../../../../src/model/serving/prediction/model.ts'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import { temporaryFolder, testFeatures, writeTestBundle } from '../../../support/bundle.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { createFakeEnginePool } from '../../../support/fakes/engine-pool.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'
import { listFeatures } from '../../../support/list-features.ts'

const pool = await createEnginePool({ engine: 'onnx', workers: 2 })
t.teardown(() => pool.close())
const models = await temporaryFolder(t)
await writeTestBundle(models)
// Other tests make temporary plans at the same time, elsewhere.
process.env.TMPDIR = await temporaryFolder(t)
const outputs = ['probabilities', 'logits']

/** Rows that the test model takes. */
function quantizationRows(rows: number): QuantizationRows {
  const dice = new Dice(5)
  const { layout } = createEncoder(testFeatures)
  return {
    rows,
    sparse: Int32Array.from(
      { length: rows * layout.sparse.length },
      (_, i) =>
        layout.sparse[i % layout.sparse.length]!.offset + dice.below(layout.sparse[i % layout.sparse.length]!.ids),
    ),
    dense: dice.floats(rows * layout.dense.length, 2),
    labels: Float32Array.from({ length: rows * 2 }, () => (dice.chance(0.3) ? 1 : 0)),
  }
}

/** A real version; with `rows` in int8, and these are its quantization rows. */
async function bundleWith(t: Test, rows?: number): Promise<Bundle> {
  const root = await temporaryFolder(t)
  await cp(models, root, { recursive: true })
  const bundle = await readBundle(root, 'ads', '1')
  if (rows === undefined) return bundle
  bundle.manifest.precision = 'int8'
  bundle.manifest.keep_precision = true
  if (rows > 0) {
    bundle.manifest.quantization = { file: 'rows.bin', rows, labels: true }
    await writeFile(join(bundle.folder, 'rows.bin'), encodeQuantizationRows(quantizationRows(rows)))
  }
  return bundle
}

async function load(
  bundle: Bundle,
  options: { pool?: EnginePool; cache?: string; compiler?: undefined; candidateBytes?: number } = {},
) {
  const warnings: string[] = []
  const compiler = {
    cache: options.cache,
    candidateBytes: options.candidateBytes ?? 1 << 20,
    now: () => 0,
    onWarning: (message: string) => warnings.push(message),
  }
  const loadOptions: LoadOptions = {
    pool: options.pool ?? pool,
    clock: systemClock,
    ...('compiler' in options ? {} : { compiler }),
    maxBatchRows: 8,
    maxDelayMs: 0,
    maxQueueRows: 100,
    maxRequestRows: 50,
  }
  const { graph, compiled } = await loadGraph(bundle, outputs, loadOptions)
  return { graph, compiled, warnings, plan: describePlan(bundle.manifest, compiled), loadOptions }
}

async function free({ graph, compiled }: Awaited<ReturnType<typeof load>>): Promise<void> {
  await graph.close()
  await compiled.dispose()
}

t.test('a version that asks for nothing is compiled in float32', async (t) => {
  const loaded = await load(await bundleWith(t))
  t.same(loaded.warnings, [])
  t.match(loaded.plan, { precision: 'float32', compiled: true, split: true, verdict: undefined })
  t.same(loaded.plan.notes, [])
  await free(loaded)
})

t.test('a disk that takes no plan counts as one that can not store it', async (t) => {
  const bundle = await bundleWith(t)
  const { TMPDIR } = process.env
  process.env.TMPDIR = '/proc'
  const loaded = await load(bundle, { cache: '/proc/plans' })
  process.env.TMPDIR = TMPDIR
  t.match(loaded.plan, { compiled: false, notes: [/^the graph runs as it was saved: ENOENT/] })
  t.equal(loaded.plan.unstored, 'ENOENT: no such file or directory, so the graph runs as it was saved')
  await free(loaded)
})

t.test('int8 without rows to check it with is float32, and that is said', async (t) => {
  const loaded = await load(await bundleWith(t, 0))
  const reason = 'the version has no quantization rows to evaluate int8 with'
  t.match(loaded.plan, { precision: 'float32', compiled: true, notes: [`float32 is served, not int8: ${reason}`] })
  t.same(loaded.warnings, [`ads/1: float32 is served, not int8: ${reason}`])
  await free(loaded)
})

t.test('so is int8 with rows that can not be read', async (t) => {
  const bundle = await bundleWith(t, 10)
  await truncate(join(bundle.folder, 'rows.bin'), 11)
  const loaded = await load(bundle)
  const reason = 'ads/1/rows.bin has 11 bytes, not 280 as its manifest says'
  t.match(loaded.plan, { precision: 'float32', compiled: true, notes: [`float32 is served, not int8: ${reason}`] })
  t.same(loaded.warnings, [`ads/1: float32 is served, not int8: ${reason}`])
  await free(loaded)

  await rm(join(bundle.folder, 'rows.bin'))
  const missing = await load(bundle)
  t.match(missing.plan, {
    precision: 'float32',
    notes: [/^float32 is served, not int8: ads\/1\/rows\.bin can't be read: it is missing/],
  })
  await free(missing)
})

t.test('and with too few rows to judge it on', async (t) => {
  for (const [rows, judged] of [
    [1, 0],
    [199, 99],
  ] as const) {
    const loaded = await load(await bundleWith(t, rows))
    t.match(loaded.plan, {
      precision: 'float32',
      notes: [
        `float32 is served, not int8: half of the quantization rows evaluate int8: at least 100 different rows are needed, there are ${judged}`,
      ],
    })
    await free(loaded)
  }
})

t.test('narrow tables are refused for the same reasons', async (t) => {
  const reasons = {
    none: 'the version has no quantization rows to evaluate float16 tables with',
    few: 'half of the quantization rows evaluate float16 tables: at least 100 different rows are needed, there are 5',
    unreadable: 'ads/1/rows.bin has 11 bytes, not 280 as its manifest says',
    'no large table': 'the graph has no large table that is read by look-ups alone',
  }
  for (const [what, reason] of Object.entries(reasons)) {
    const bundle = await bundleWith(t, { none: 0, few: 10, unreadable: 10 }[what] ?? 300)
    bundle.manifest.precision = 'float32'
    bundle.manifest.tables = 'float16'
    if (what === 'unreadable') await truncate(join(bundle.folder, 'rows.bin'), 11)
    const loaded = await load(bundle)
    const note = `float32 tables are served, not float16: ${reason}`
    t.match(loaded.plan, { precision: 'float32', tables: 'float32', compiled: true, notes: [note] }, what)
    t.same(loaded.warnings, [`ads/1: ${note}`], what)
    await free(loaded)
  }
})

t.test('int8 that passes its check is served', async (t) => {
  const cache = await temporaryFolder(t)
  const bundle = await bundleWith(t, 600)
  for (const origin of ['compiled', 'cached']) {
    const loaded = await load(bundle, { cache })
    t.equal(loaded.compiled.plan?.origin, origin)
    t.same(loaded.warnings, [])
    t.match(loaded.plan, {
      precision: 'int8',
      compiled: true,
      split: true,
      notes: [],
      verdict: { passed: true, rows: 300 },
    })
    t.same(
      loaded.plan.verdict?.tasks.map(({ task }) => task),
      ['ctr', 'cvr'],
    )
    await free(loaded)
  }
})

t.test('int8 that saves nothing here leaves its place to float32, and says so', async (t) => {
  const cache = await temporaryFolder(t)
  const bundle = await bundleWith(t, 600)
  bundle.manifest.keep_precision = false
  const first = await load(bundle, { cache })
  const file = join(first.compiled.plan!.folder, 'precision-int8.json')
  await free(first)
  const { machine } = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ machine, precision: 'float32', reason: 'int8 takes 0.97' }))
  const loaded = await load(bundle, { cache })
  t.match(loaded.plan, { precision: 'float32', notes: ['precision int8: float32 is served; int8 takes 0.97'] })
  t.match(loaded.plan.verdict, { passed: true })
  t.same(loaded.warnings, [], 'nothing is wrong')
  await free(loaded)
})

t.test('int8 that fails it is not, and its verdict is kept', async (t) => {
  const bundle = await bundleWith(t, 600)
  // Values that were never seen when scales were set judge them.
  const rows = quantizationRows(600)
  rows.dense.fill(0, 0, rows.dense.length / 2)
  for (let i = rows.dense.length / 2; i < rows.dense.length; i++) rows.dense[i]! *= 1000
  await writeFile(join(bundle.folder, 'rows.bin'), encodeQuantizationRows(rows))
  const loaded = await load(bundle)
  t.match(loaded.plan, { precision: 'float32', compiled: true, verdict: { passed: false, rows: 300 } })
  t.match(loaded.plan.notes, [/^float32 is served, not int8: ctr: .*more than/])
  t.same(loaded.plan.notes, [`float32 is served, not int8: ${loaded.plan.verdict!.reasons.join('; ')}`])
  t.same(loaded.warnings, [`ads/1: ${loaded.plan.notes[0]}`])
  await free(loaded)
})

t.test('another engine serves the graph as it was saved', async (t) => {
  const fake = createFakeEnginePool({ signature: { inputs: [], outputs: [] } })
  const int8 = await load(await bundleWith(t, 10), { pool: fake })
  t.match(int8.plan, {
    precision: 'float32',
    compiled: false,
    split: false,
    notes: [
      'the graph runs as it was saved: int8 needs the engine onnx',
      'float32 is served: int8 needs a compiled plan',
    ],
    verdict: undefined,
  })
  const float32 = await load(await bundleWith(t), { pool: fake })
  t.same(float32.plan.notes, [])
  t.same(
    fake.loads.map(({ plan }) => plan),
    [undefined, undefined],
  )
})

t.test('without a compiler it is served as it was saved', async (t) => {
  const loaded = await load(await bundleWith(t), { compiler: undefined })
  t.match(loaded.plan, { precision: 'float32', compiled: false, split: false, verdict: undefined })
  t.same(loaded.plan.notes, [])
  t.match(await loaded.graph.stats(), { rows: { exported: 0, full: 0 } })
  await free(loaded)
})

t.test('a graph that can not be compiled is served as it was saved, and it is said why', async (t) => {
  const bundle = await bundleWith(t)
  bundle.manifest.graph.outputs.probabilities = 'nowhere'
  const loaded = await load(bundle)
  const reason = 'model.json: there is no layer nowhere to answer with'
  t.same(loaded.plan.notes, [`the graph runs as it was saved: ${reason}`])
  t.same(loaded.warnings, [`ads/1: the graph runs as it was saved: ${reason}`])
  await free(loaded)
})

t.test('a plan that can not be loaded gives way to the graph as it was saved', async (t) => {
  const bundle = await bundleWith(t)
  const cache = await temporaryFolder(t)
  const asked: boolean[] = []
  const failing: EnginePool = {
    ...pool,
    async load(source) {
      asked.push(source.plan !== undefined)
      if (source.plan !== undefined) throw new Error('it is too large')
      return pool.load(source)
    },
  }
  for (const folder of [cache, undefined]) {
    const before = await temporaryPlans()
    const loaded = await load(bundle, { pool: failing, ...(folder === undefined ? {} : { cache: folder }) })
    t.match(loaded.plan, {
      precision: 'float32',
      compiled: false,
      split: false,
      notes: ["the graph runs as it was saved: the compiled plan can't be loaded: it is too large"],
      verdict: undefined,
    })
    t.same(loaded.warnings, [
      "ads/1: the compiled plan can't be loaded, the graph runs as it was saved: it is too large",
    ])
    t.same(await temporaryPlans(), before)
    await free(loaded)
  }
  t.same(asked, [true, false, true, false])
  t.equal((await readdir(cache)).length, 1, 'what is in the cache stays there')
})

const temporaryPlans = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('multigate-plan-'))

t.test('a temporary plan is gone when the version is closed', async (t) => {
  const bundle = await bundleWith(t)
  const loaded = await load(bundle)
  const { plan } = loaded.compiled
  t.equal(plan?.origin, 'temporary')
  t.ok((await readdir(plan!.folder)).length > 0)
  await free(loaded)
  await t.rejects(readdir(dirname(plan!.folder)), { code: 'ENOENT' })

  const before = await temporaryPlans()
  const model = await loadModel(bundle, loaded.loadOptions)
  t.equal((await temporaryPlans()).length, before.length + 1)
  t.match(model.plan, { compiled: true, split: true, workers: 2 })
  t.match(await model.graphStats(), { rows: { exported: 0 } })
  await model.close()
  t.same(await temporaryPlans(), before)
})

t.test('the memory for candidates is shared by the workers', async (t) => {
  const loads: (number | undefined)[] = []
  const watching: EnginePool = {
    ...pool,
    load(source) {
      loads.push(source.cacheBytes)
      return pool.load(source)
    },
  }
  const [bundle, cache] = [await bundleWith(t), await temporaryFolder(t)]
  for (const candidateBytes of [0, 1, 100_001])
    await free(await load(bundle, { pool: watching, candidateBytes, cache }))
  t.same(loads, [0, 0, 50_000])
})

t.test('the compiler gets the lists of each sequence, and of none', async (t) => {
  const { lists, sides } = describeGraph(exampleManifest({ features: listFeatures }), undefined)
  const [ids, numbers] = Object.keys(sides!)
  t.same(
    lists!.map(({ name, size, members }) => [name, size, members.map(({ input, padding }) => `${input} ${padding}`)]),
    [
      ['seen', 3, [`${ids} 78`, `${numbers} 0`]],
      ['tags', 2, [`${ids} 82`, `${numbers} 0`]],
    ],
  )
})

t.test('what the compiler is told of a version', async (t) => {
  const manifest = exampleManifest({ precision: 'int8' })
  const rows: QuantizationRows = {
    rows: 3,
    sparse: Int32Array.from({ length: 12 }, (_, i) => i),
    dense: Float32Array.from({ length: 6 }, (_, i) => i),
    labels: Float32Array.of(0, 1, 0, 1, 1, 0),
  }
  const description = describeGraph(manifest, rows)
  t.same(description, {
    output: 'p',
    sides: { ids: ['context', 'context', 'candidate', 'candidate'], numbers: ['candidate', 'cross'] },
    fields: {
      ids: [
        { offset: 0, ids: 3 },
        { offset: 3, ids: 24 },
        { offset: 27, ids: 3 },
        { offset: 30, ids: 50 },
      ],
    },
    precision: 'int8',
    onlyIfFaster: true,
    quantization: {
      scales: { rows: 2, inputs: { ids: Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7), numbers: Float32Array.of(0, 1, 2, 3) } },
      judged: {
        rows: 1,
        inputs: { ids: Int32Array.of(8, 9, 10, 11), numbers: Float32Array.of(4, 5) },
        labels: Float32Array.of(1, 0),
        tasks: ['ctr', 'cvr'],
      },
    },
    identity: JSON.stringify(manifest.files),
  })
  t.equal(describeGraph(manifest, undefined).quantization, undefined)
  t.equal(describeGraph({ ...manifest, keep_precision: true }, undefined).onlyIfFaster, false)
  const numbers = describeGraph({ ...manifest, graph: { ...manifest.graph, inputs: { dense: 'numbers' } } }, undefined)
  t.same([numbers.fields, Object.keys(numbers.sides!)], [{}, ['numbers']])
})
