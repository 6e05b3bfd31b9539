import t from 'tap'
import type { Clock } from '../../../../src/base/clock.ts'
import type { Signature } from '../../../../src/model/contracts/engine.ts'
import { WorkerLostError } from '../../../../src/model/engines/pool/worker-client.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { LoadOptions, Query } from '../../../../src/model/serving/prediction/loaded-model.ts'
import { loadModel } from '../../../../src/model/serving/prediction/model.ts'
import type { QueryRows } from '../../../../src/model/serving/prediction/query-rows.ts'
import type { Entity } from '../../../../src/schemas/entities.ts'
import type { GoldenRows, Manifest } from '../../../../src/schemas/manifest.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import {
  createFakeEnginePool,
  type FakeEnginePool,
  type FakePoolOptions,
  fakeOutput,
} from '../../../support/fakes/engine-pool.ts'
import { exampleManifest, gatedManifest } from '../../../support/fakes/manifest.ts'
import { toColumns, toRows } from '../../../support/predictions.ts'
import { problemsOf } from '../../../support/problems-of.ts'

const signature: Signature = {
  inputs: [
    { name: 'ids', dtype: 'int32', width: 4 },
    { name: 'numbers', dtype: 'float32', width: 2 },
  ],
  outputs: [
    { name: 'p', width: 2 },
    { name: 'l', width: 2 },
    { name: 'gate_ctr', width: 3 },
    { name: 'gate_cvr', width: 3 },
  ],
}

/** Stands still; what is put off to the end of the moment comes with the promises. */
const clock: Clock = { now: () => 0, after: () => () => undefined, soon: queueMicrotask }
const deadline = 1000
const context = { hour: 21 }
const candidates = [
  { id: 'a', campaign: 'c1', price: 10, bid: 1 },
  { id: 'b', campaign: 'c3', price: 2, bid: 2 },
]
const byRow: QueryRows = { form: 'rows', context, candidates }

function load(
  manifest: Manifest = exampleManifest(),
  { pool, ...options }: Partial<FakePoolOptions> & Partial<LoadOptions> & { pool?: FakeEnginePool } = {},
  former?: Parameters<typeof loadModel>[2],
) {
  const fake = pool ?? createFakeEnginePool({ signature, ...options })
  const loaded = loadModel(
    { folder: '/models/ads/1', manifest },
    { pool: fake, clock, maxBatchRows: 4, maxDelayMs: 0, maxQueueRows: 100, maxRequestRows: 50, ...options },
    former,
  )
  return { loaded, pool: fake }
}

async function ask(query: Partial<Query> = {}, manifest?: Manifest) {
  const model = await load(manifest).loaded
  return model.predict({ rows: byRow, deadline, ...query })
}

t.test('the graph is loaded with every output that may be wanted, once each', async (t) => {
  const { loaded, pool } = load(gatedManifest())
  await loaded
  t.same(pool.loads, [
    { folder: '/models/ads/1', format: 'onnx', file: 'model.onnx', outputs: ['p', 'l', 'gate_ctr', 'gate_cvr'] },
  ])
})

t.test('a loaded model says what it is and what computes it', async (t) => {
  const model = await load().loaded
  t.equal(model.engine, 'fake')
  t.same(model.plan, {
    workers: 2,
    maxBatchRows: 4,
    precision: 'float32',
    tables: 'float32',
    compiled: false,
    compileSeconds: 0,
    split: false,
    notes: [],
    unstored: undefined,
    verdict: undefined,
    tablesVerdict: undefined,
    passes: [],
  })
  t.equal(model.manifest.name, 'ads')
  t.equal(model.encoder.layout.ids, 80)
  t.match(model.stats(), { queuedRows: 0, requests: 0 })
})

t.test('a model that another engine of the pool computes says so', async (t) => {
  const { engine } = await load(exampleManifest(), { signature: { ...signature, engine: 'another' } }).loaded
  t.equal(engine, 'another')
})

t.test('every batch size up to the limit is warmed in every worker', async (t) => {
  const { loaded, pool } = load(exampleManifest(), { maxBatchRows: 6, size: 3 })
  await loaded
  t.same(
    pool.runs.map(({ rows }) => rows),
    // The first is one of the largest ids, the next are two rows together and by themselves.
    [1, 2, 1, 1, 1, 1, 1, 2, 2, 2, 4, 4, 4, 6, 6, 6],
  )
})

t.test('a batch of one row is warmed alone', async (t) => {
  const { loaded, pool } = load(exampleManifest(), { maxBatchRows: 1, size: 1 })
  await loaded
  t.same(
    pool.runs,
    [1, 2, 1, 1, 1].map((rows) => ({ rows, wanted: ['p'] })),
  )
})

t.test('loading asks for the largest ids, warming for the first', async (t) => {
  const seen = new Set<number>()
  const compute: FakePoolOptions['compute'] = (batch, ...rest) => {
    for (const [i, id] of batch.inputs.ids!.entries()) seen.add((i % 4) * 1000 + id)
    return fakeOutput(batch, ...rest)
  }
  await load(exampleManifest(), { compute }).loaded
  t.same([...seen], [2, 1026, 2029, 3079, 0, 1003, 2027, 3030])
})

t.test('fields with more ids than the graph has are found when it is loaded', async (t) => {
  const compute: FakePoolOptions['compute'] = (batch, ...rest) => {
    if (batch.inputs.ids!.some((id) => id > 60)) throw new Error('idx=79 must be within [-60,59]')
    return fakeOutput(batch, ...rest)
  }
  await t.rejects(load(exampleManifest(), { compute }).loaded, {
    code: 'INVALID_BUNDLE',
    message:
      /^ads\/1\/model\.onnx doesn't fit its manifest: the largest ids of its fields \(2, 26, 29, 79\) can't be computed: idx=79/,
  })
})

t.test('row i of the answer is row i of the request', async (t) => {
  const pending = await ask()
  t.equal(pending.rows, 2)
  t.type(pending.encodeSeconds, 'number')
  const rows = toRows(await pending.table)
  const single = toRows(await (await ask({ rows: { form: 'rows', context, candidates: [candidates[1]] } })).table)
  t.same(
    rows.map((row) => row?.id),
    ['a', 'b'],
  )
  t.same(rows[1], single[0])
  t.not(rows[0]?.ctr, rows[1]?.ctr)
})

t.test('the three forms are answered alike', async (t) => {
  const model = await load().loaded
  const { sparse, dense } = model.encoder.rows(context, candidates, { maxRows: 9, partial: false })
  const forms: QueryRows[] = [
    byRow,
    { form: 'columns', context, candidates: { campaign: ['c1', 'c3'], price: [10, 2] } },
    {
      form: 'tensors',
      sparse: [[...sparse.subarray(0, 4)], [...sparse.subarray(4)]],
      dense: [[...dense.subarray(0, 2)], [...dense.subarray(2)]],
    },
  ]
  const [first, ...others] = await Promise.all(forms.map((rows) => model.predict({ rows, deadline }).table))
  for (const other of others) t.same(other?.tasks, first?.tasks)
})

t.test('a request larger than a batch is answered whole', async (t) => {
  const model = await load().loaded
  const many = Array.from({ length: 11 }, (_, i) => ({ campaign: 'c2', price: i }))
  const rows = toRows(await model.predict({ rows: { form: 'rows', context, candidates: many }, deadline }).table)
  const last = await model.predict({ rows: { form: 'rows', context, candidates: many.slice(10) }, deadline }).table
  t.equal(rows.length, 11)
  t.same(rows[10], toRows(last)[0])
})

t.test('options are obeyed: tasks, raw, gates, rank', async (t) => {
  const model = await load(gatedManifest()).loaded
  const table = await model.predict({
    rows: byRow,
    tasks: ['cvr'],
    options: { raw: true, gates: true, rank: { by: 'ecpm', top_k: 1 } },
    deadline,
  }).table
  const [row, ...others] = toRows(table)
  t.same(others, [])
  t.same(Object.keys(row ?? {}), ['id', 'cvr', 'raw', 'gates', 'score', 'index'])
  t.match(row?.gates, { cvr: { length: 3 } })
})

t.test('bids are needed to rank by ecpm, and for nothing else', async (t) => {
  const model = await load().loaded
  const rows: QueryRows = { form: 'columns', context, candidates: { campaign: ['c1'], price: [1] } }
  t.same(
    problemsOf(() => model.predict({ rows, options: { rank: { by: 'ecpm' } }, deadline })),
    ['/candidates/bid is required to rank by ecpm'],
  )
  t.equal((await model.predict({ rows, options: { rank: { by: 'ctr' } }, deadline }).table).scores?.length, 1)
})

t.test('encoding is timed in seconds on the clock', async (t) => {
  let now = 5000
  const ticking: Clock = { ...clock, now: () => (now += 250) }
  const model = await load(exampleManifest(), { clock: ticking }).loaded
  const pending = model.predict({ rows: byRow, deadline: Number.MAX_VALUE })
  t.equal(pending.encodeSeconds, 0.25)
  await pending.table
})

t.test('warming tells how long a batch takes: a new model predicts waits from the first request on', async (t) => {
  let now = 5000
  const compute: FakePoolOptions['compute'] = (batch, ...rest) => {
    now += 100
    return fakeOutput(batch, ...rest)
  }
  const model = await load(exampleManifest(), { clock: { ...clock, now: () => now }, compute, size: 1 }).loaded
  const pending = Array.from({ length: 3 }, () => model.predict({ rows: byRow, deadline: now + 60_000 }))
  await Promise.resolve()
  const { inFlightBatches, predictedWaitSeconds } = model.stats()
  t.equal(inFlightBatches, 1)
  t.ok(predictedWaitSeconds > 0.005 && predictedWaitSeconds < 1, `${predictedWaitSeconds} s`)
  await Promise.all(pending.map(({ table }) => table))
})

t.test('in part, a bad row is null in its place', async (t) => {
  const { table } = await ask({
    rows: { form: 'rows', context, candidates: [{ price: 1 }, candidates[1]] },
    options: { partial: true },
  })
  const rows = toRows(await table)
  t.equal(rows[0], null)
  t.equal(rows[1]?.id, 'b')
  t.same((await table).problems, [{ path: '/candidates/0/campaign', message: 'is required: the field has no default' }])
})

t.test('in part, a request of bad rows alone is answered without the engine', async (t) => {
  const { loaded, pool } = load(gatedManifest())
  const model = await loaded
  const before = pool.runs.length
  const pending = model.predict({
    rows: { form: 'columns', context, candidates: { campaign: [1, 2], price: ['x', 3] } },
    options: { partial: true, gates: true, raw: true },
    deadline,
  })
  pending.cancel()
  t.equal(pending.rows, 0)
  t.same(toColumns(await pending.table).ctr, [null, null])
  t.equal(pool.runs.length, before)
})

t.test('what is wrong with a request is thrown at once', async (t) => {
  const model = await load().loaded
  t.same(
    problemsOf(() => model.predict({ rows: { form: 'rows', context, candidates: [{}] }, deadline })),
    [
      '/candidates/0/campaign is required: the field has no default',
      '/candidates/0/price is required: the field has no default',
    ],
  )
})

t.test('more rows than allowed are thrown at once', async (t) => {
  const model = await load(exampleManifest(), { maxRequestRows: 1 }).loaded
  t.throws(() => model.predict({ rows: byRow, deadline }), { code: 'TOO_MANY_ROWS' })
})

t.test('a request that comes too late is refused by promise', async (t) => {
  const pending = await ask({ deadline: -1 })
  await t.rejects(pending.table, { code: 'DEADLINE_EXCEEDED' })
})

t.test('a request given up rejects', async (t) => {
  const pending = await ask()
  pending.cancel()
  await t.rejects(pending.table, { code: 'CANCELLED' })
})

t.test('unknown values are reported', async (t) => {
  const heard: [string, number][] = []
  const onUnknown = (field: string, values: number) => heard.push([field, values])
  const { loaded } = load(exampleManifest(), { onUnknown })
  const model = await loaded
  await model.predict({ rows: { form: 'rows', context: { ...context, country: 'XX' }, candidates }, deadline }).table
  t.same(heard.splice(0), [['country', 1]])
  const encoder = createEncoder(exampleManifest().features)
  const encoded = encoder.rows(context, candidates, { maxRows: 10, partial: false })
  const counts = { unknown: new Map([['country', 1e6]]), cut: new Map(), keys: new Map() }
  const rows = { form: 'encoded' as const, encoded, ...counts }
  await model.predict({ rows, deadline }).table
  t.same(heard, [['country', 1e6]], 'those that were found elsewhere, together')
})

t.test('an observer hears of batches', async (t) => {
  const released: number[] = []
  const observer = { released: ({ rows }: { rows: number }) => released.push(rows) }
  const model = await load(exampleManifest(), { observer }).loaded
  await model.predict({ rows: byRow, deadline }).table
  t.same(released, [2])
})

t.test('a request that makes the engine throw fails alone', async (t) => {
  const compute: FakePoolOptions['compute'] = (batch, ...rest) => {
    if (batch.inputs.numbers!.some((value) => value > 1000)) throw new Error('too much')
    return fakeOutput(batch, ...rest)
  }
  const model = await load(exampleManifest(), { compute }).loaded
  const bad = { form: 'rows', context, candidates: [{ campaign: 'c1', price: 1e6 }] } as const
  const [good, failed] = [model.predict({ rows: byRow, deadline }), model.predict({ rows: bad, deadline })]
  await t.rejects(failed.table, { code: 'MODEL_FAILED', message: 'The model failed: too much' })
  t.equal((await good.table).requested, 2)
})

t.test('a batch whose worker died is not tried again', async (t) => {
  let calls = 0
  const compute: FakePoolOptions['compute'] = (batch, ...rest) => {
    if (batch.inputs.numbers!.some((value) => value > 1000)) {
      calls++
      throw new WorkerLostError('gone')
    }
    return fakeOutput(batch, ...rest)
  }
  const model = await load(exampleManifest(), { compute }).loaded
  const rows = { form: 'rows', context, candidates: [{ campaign: 'c1', price: 1e6 }] } as const
  const pending = [model.predict({ rows, deadline }), model.predict({ rows, deadline })]
  for (const { table } of pending) await t.rejects(table, { code: 'MODEL_FAILED' })
  t.equal(calls, 1)
})

t.test('close answers what is accepted, then frees the graph', async (t) => {
  const { loaded, pool } = load()
  const model = await loaded
  const pending = model.predict({ rows: byRow, deadline })
  await model.close()
  t.equal((await pending.table).requested, 2)
  t.equal(pool.open, 0)
  await t.rejects(model.predict({ rows: byRow, deadline }).table, { code: 'DRAINING' })
  await t.resolves(model.close())
})

t.test('destroy rejects what is accepted', async (t) => {
  const model = await load().loaded
  const pending = model.predict({ rows: byRow, deadline })
  model.destroy(new Error('enough'))
  await t.rejects(pending.table, { message: 'enough' })
})

t.test('a graph that the engine refuses is refused, with its reason', async (t) => {
  const pool = createFakeEnginePool({ signature })
  pool.load = () => Promise.reject(new Error('no such layer'))
  await t.rejects(load(exampleManifest(), { pool }).loaded, { message: 'no such layer' })
})

const misfits: [what: string, changes: Partial<Signature>, message: string][] = [
  ['without an input', { inputs: signature.inputs.slice(1) }, 'it has no input ids, but numbers'],
  [
    'with numbers as integers',
    { inputs: [signature.inputs[0]!, { name: 'numbers', dtype: 'int32', width: 2 }] },
    'its input numbers is int32, not float32',
  ],
  [
    'with too many ids a row',
    { inputs: [{ name: 'ids', dtype: 'int32', width: 5 }, signature.inputs[1]!] },
    'its input ids is 5 wide, but there are 4 sparse fields',
  ],
  [
    'with too few numbers a row',
    { inputs: [signature.inputs[0]!, { name: 'numbers', dtype: 'float32', width: 1 }] },
    'its input numbers is 1 wide, but there are 2 numeric fields',
  ],
  [
    'with one more input',
    { inputs: [...signature.inputs, { name: 'mask', dtype: 'float32', width: 1 }] },
    'its input mask is not in /graph/inputs',
  ],
  ['with one more task', { outputs: [{ name: 'p', width: 3 }] }, 'its output p is 3 wide, but there are 2 tasks'],
]
for (const [what, changes, message] of misfits) {
  t.test(`a graph ${what} is refused, and freed`, async (t) => {
    const { loaded, pool } = load(exampleManifest(), { signature: { ...signature, ...changes } })
    await t.rejects(loaded, {
      code: 'INVALID_BUNDLE',
      message: `ads/1/model.onnx doesn't fit its manifest: ${message}`,
    })
    t.equal(pool.open, 0)
  })
}

t.test('a graph of ids alone needs no numbers', async (t) => {
  const { features, graph } = exampleManifest()
  const manifest = exampleManifest({ features: features.slice(0, 2), graph: { ...graph, inputs: { sparse: 'ids' } } })
  const { loaded } = load(manifest, {
    signature: { ...signature, inputs: [{ name: 'ids', dtype: 'int32', width: 2 }] },
  })
  const { table } = (await loaded).predict({ rows: { form: 'rows', context, candidates: undefined }, deadline })
  t.equal(toRows(await table).length, 1)
})

t.test('a graph of numbers alone needs no ids', async (t) => {
  const { features, graph } = exampleManifest()
  const manifest = exampleManifest({ features: features.slice(4), graph: { ...graph, inputs: { dense: 'numbers' } } })
  const { loaded } = load(manifest, { signature: { ...signature, inputs: signature.inputs.slice(1) } })
  const rows: QueryRows = { form: 'tensors', sparse: undefined, dense: [[1, 2]] }
  t.equal(toRows(await (await loaded).predict({ rows, deadline }).table).length, 1)
})

/** Golden rows with the fake's own answers. */
async function golden(changes: Partial<GoldenRows> = {}): Promise<GoldenRows> {
  const rows = candidates.map(({ campaign, price }) => ({ ...context, campaign, price }))
  const { table } = await ask({ rows: { form: 'rows', context: undefined, candidates: rows }, options: { raw: true } })
  const { raw } = await table
  const probabilities = rows.map((_, i) => raw!.map(([, values]) => values[i]!))
  return { rows, probabilities, tolerance: 1e-5, ...changes }
}

t.test('golden rows that are answered as expected let a model in', async (t) => {
  await t.resolves(load(exampleManifest({ golden: await golden() })).loaded)
})

t.test('golden rows are compared before calibration', async (t) => {
  const tasks = [{ name: 'ctr', calibration: { method: 'platt', a: 3, b: 1 } as const }, { name: 'cvr' }]
  await t.resolves(load(exampleManifest({ tasks, golden: await golden() })).loaded)
})

t.test('more golden rows than a request may have are asked all the same', async (t) => {
  await t.resolves(load(exampleManifest({ golden: await golden() }), { maxRequestRows: 1 }).loaded)
})

t.test('a golden row that differs by more than its tolerance refuses the model, and frees it', async (t) => {
  const right = await golden()
  const probabilities = right.probabilities.map(([ctr, cvr], row) => [ctr!, row === 1 ? cvr! - 2e-5 : cvr!])
  const { loaded, pool } = load(exampleManifest({ golden: { ...right, probabilities } }))
  await t.rejects(loaded, {
    code: 'INVALID_BUNDLE',
    message: /^ads\/1\/manifest\.json: golden row 1 differs: cvr should be 0\.[0-9]+, the model answers 0\.[0-9]+$/,
  })
  t.equal(pool.open, 0)
})

t.test('a golden row that differs by less than its tolerance is good', async (t) => {
  const right = await golden({ tolerance: 1e-3 })
  const probabilities = right.probabilities.map((row) => row.map((value) => value + 5e-4))
  await t.resolves(load(exampleManifest({ golden: { ...right, probabilities } })).loaded)
})

t.test('golden rows that are no rows of the model refuse it', async (t) => {
  const wrong = await golden({ rows: [{ colour: 'red' }, context] })
  await t.rejects(load(exampleManifest({ golden: wrong })).loaded, {
    code: 'INVALID_BUNDLE',
    message: /^ads\/1\/manifest\.json: its golden rows can't be answered: \/candidates\/0\/colour is not a field/,
  })
})

t.test('golden rows that make the engine throw refuse the model', async (t) => {
  const compute = () => {
    throw new Error('no kernel')
  }
  await t.rejects(load(exampleManifest({ golden: await golden() }), { compute }).loaded, {
    code: 'INVALID_BUNDLE',
    message: "ads/1/manifest.json: its golden rows can't be answered: The model failed: no kernel",
  })
})

t.test('an engine that throws while it is warmed refuses the model, and frees it', async (t) => {
  const compute: FakePoolOptions['compute'] = (batch, ...rest) => {
    if (batch.rows === 4) throw new Error('out of memory')
    return fakeOutput(batch, ...rest)
  }
  const { loaded, pool } = load(exampleManifest(), { compute })
  await t.rejects(loaded, { message: 'out of memory' })
  t.equal(pool.open, 0)
})

t.test('the rows that clients asked the former version for are repeated, as far as they fit', async (t) => {
  const columns = { sparse: 4, dense: 2 }
  const rowsOf = (rows: number, id: number, { sparse, dense } = columns) => ({
    rows,
    sparse: new Int32Array(rows * sparse).fill(id),
    dense: new Float32Array(rows * dense),
  })
  const former = {
    recentRows: () => [rowsOf(3, 0), rowsOf(2, 1_000_000), rowsOf(1, 0, { sparse: 5, dense: 2 }), rowsOf(7, 0)],
  }
  const now: Clock = {
    now: () => 0,
    after(_, callback) {
      queueMicrotask(callback)
      return () => undefined
    },
    soon: queueMicrotask,
  }
  const repeated = (pool: FakeEnginePool, without: FakeEnginePool) =>
    pool.runs.slice(without.runs.length).map(({ rows }) => rows)
  const [without, pool] = [load(), load(exampleManifest(), { clock: now }, former)]
  await Promise.all([without.loaded, pool.loaded])
  // A request of 7 rows takes two calls of 4 at most; each is repeated twice for each of two workers.
  t.same(repeated(pool.pool, without.pool), Array.from({ length: 4 }, () => [3, 4, 3]).flat())

  let calls = 0
  const compute: FakePoolOptions['compute'] = (batch, ...rest) => {
    if (batch.rows === 3 && ++calls > 0) throw new Error('out of memory')
    return fakeOutput(batch, ...rest)
  }
  await load(exampleManifest(), { clock: now, compute }, former).loaded
  t.ok(calls > 0, 'one that fails is left out')
})

t.test('an answer does not depend on what is asked at the same time', async () => {
  const model = await load().loaded
  const candidate = fc.record({ campaign: fc.constantFrom('c1', 'c2', 'c3'), price: fc.integer({ min: 0, max: 99 }) })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(candidate, { minLength: 1, maxLength: 9 }), { minLength: 1, maxLength: 6 }),
      async (requests) => {
        const answer = (candidates: unknown) =>
          model.predict({ rows: { form: 'rows', context, candidates }, deadline }).table.then(toRows)
        const together = await Promise.all(requests.map(answer))
        for (const [i, request] of requests.entries()) {
          for (const [row, one] of request.entries()) {
            if (JSON.stringify(await answer([one])) !== JSON.stringify([together[i]?.[row]])) return false
          }
        }
        return true
      },
    ),
    { numRuns: randomCases(30) },
  )
})

t.test('a version whose table is not there may be tried again: the table may come', async (t) => {
  const ad = {
    key: 'ad_id',
    side: 'candidate',
    table: 'ads',
    features: ['price'],
    unknown: 'defaults',
  } satisfies Entity
  const tables = {
    current: () => undefined,
    guard: () => () => undefined,
    handles: () => ({}),
    refresh: async () => {},
  }
  await t.rejects(load({ ...exampleManifest(), entities: { ad } }, { tables }).loaded, {
    code: 'INVALID_BUNDLE',
    message: 'ads/1/entities/ad: there is no table "ads" beside the models',
    transient: true,
  })
})
