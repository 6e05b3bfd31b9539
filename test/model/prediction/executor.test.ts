import { join } from 'node:path'
import t from 'tap'
import type { Batch, LoadedGraph } from '../../../src/model/contracts/engine.ts'
import type { EnginePool, PooledGraph } from '../../../src/model/engines/pool/contract.ts'
import { createEnginePool } from '../../../src/model/engines/pool/pool.ts'
import { createEncoder } from '../../../src/model/features/encoder.ts'
import type { LoadOptions } from '../../../src/model/prediction/contract.ts'
import { createExecutor } from '../../../src/model/prediction/executor.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { createFakeEnginePool } from '../../support/fakes/engine-pool.ts'

const models = await temporaryFolder(t)
const manifest = { ...(await writeTestBundle(models)), files: {} }
const encoder = createEncoder(manifest.features)
const outputs = ['probabilities', 'gate_ctr']
const source = { folder: join(models, 'ads', '1'), format: 'layers' as const, file: 'model.json', outputs }
const wanted = ['probabilities']
const limits = { maxBatchRows: 64, maxDelayMs: 0, maxQueueRows: 1000, maxRequestRows: 500 }

/** Every call takes a millisecond on it. */
function createClock() {
  let now = 0
  return { now: () => now++, after: () => () => undefined, soon: queueMicrotask }
}

/** Real workers. */
const pool = await createEnginePool({ engine: 'onnx', workers: 2 })
t.teardown(() => pool.close())

/** What a call of so many rows costs in a worker is as the test says. */
async function setUp(seconds: (rows: number) => number) {
  const loaded = await pool.load(source)
  const opened: { graph: LoadedGraph; runs: number; closed: number; fail?: Error }[] = []
  let workerRuns = 0
  const graph: PooledGraph = {
    ...loaded,
    measure: async ({ rows }) => seconds(rows),
    run(batch, wanted) {
      workerRuns++
      return loaded.run(batch, wanted)
    },
  }
  const watched: EnginePool = {
    ...pool,
    async loadHere(source) {
      const graph = await pool.loadHere!(source)
      const here = { graph, runs: 0, closed: 0 }
      opened.push(here)
      let busy = false
      return {
        ...graph,
        async run(batch, wanted) {
          if (busy) throw new Error('it takes one call at a time')
          busy = true
          here.runs++
          try {
            return await graph.run(batch, wanted)
          } finally {
            busy = false
          }
        },
        close() {
          here.closed++
          return graph.close()
        },
      }
    },
  }
  const executor = createExecutor(graph)
  const open = (options: Partial<LoadOptions> = {}) =>
    executor.openHere({ ...limits, pool: watched, clock: createClock(), ...options }, source, manifest, encoder)
  return { executor, open, opened, inWorker: loaded, workerRuns: () => workerRuns }
}

/** Rows that differ from those of any other seed. */
function batchOf(rows: number, seed: number): Batch {
  const row = encoder.layout.sparse.map(({ offset, ids }) => offset + (seed % ids))
  return {
    rows,
    inputs: {
      sparse: Int32Array.from({ length: rows * row.length }, (_, i) => row[i % row.length]!),
      dense: Float32Array.from({ length: rows * 2 }, (_, i) => seed + i / 16),
    },
  }
}

const cheapTo8 = (rows: number) => (rows <= 8 ? 0.00001 : 1)

t.test('a cheap graph is opened in the calling thread, and answers as the workers do, bit by bit', async (t) => {
  const { executor, open, opened, inWorker, workerRuns } = await setUp(cheapTo8)
  t.equal(executor.rowsHere, 0)
  await open()
  t.equal(executor.rowsHere, 8)
  const [runs, warmed] = [workerRuns(), opened[0]!.runs]
  for (let rows = 1; rows <= 8; rows++)
    t.same(await executor.run(batchOf(rows, rows), wanted), await inWorker.run(batchOf(rows, rows), wanted))
  t.equal(opened[0]!.runs, warmed + 8)
  t.equal(workerRuns(), runs, 'no worker was asked')
})

t.test('large batches and other outputs go to the workers', async (t) => {
  const { executor, open, opened, inWorker } = await setUp(cheapTo8)
  await open()
  const { runs } = opened[0]!
  t.same(await executor.run(batchOf(9, 1), wanted), await inWorker.run(batchOf(9, 1), wanted))
  for (const names of [['gate_ctr'], ['probabilities', 'gate_ctr']])
    t.same(await executor.run(batchOf(2, 1), names), await inWorker.run(batchOf(2, 1), names))
  t.equal(opened[0]!.runs, runs)
})

t.test('calls at the same time are each answered their own, in memory that is shared or not', async (t) => {
  const { executor, open, opened, inWorker, workerRuns } = await setUp(cheapTo8)
  await open()
  const asked = Array.from({ length: 60 }, (_, i) => batchOf(1 + (i % 10), i))
  const expected = await Promise.all(asked.map((batch) => inWorker.run(batch, wanted)))
  const [runs, warmed] = [workerRuns(), opened[0]!.runs]
  const answers = await Promise.all(
    asked.map(async (batch, i) => {
      if (i % 3 === 0) return executor.run(batch, wanted)
      const memory = executor.allocateFor(manifest)
      // Room for more rows than are left.
      const arrays = memory.allocate(batch.rows + 2)!
      arrays.sparse.set(batch.inputs.sparse!)
      arrays.dense.set(batch.inputs.dense!)
      const inputs = { sparse: arrays.sparse, dense: arrays.dense }
      const answer = await executor.run({ rows: batch.rows, inputs, ...memory.shared(batch.rows) }, wanted)
      memory.release()
      return answer
    }),
  )
  t.same(answers, expected)
  t.ok(workerRuns() > runs, 'the calling thread takes one at a time, the workers the others')
  t.ok(opened[0]!.runs > warmed)
})

t.test('a call that fails in the calling thread leaves it of use', async (t) => {
  const { executor, open, opened } = await setUp(cheapTo8)
  await open()
  const outOfTable = batchOf(1, 1)
  outOfTable.inputs.sparse![0] = 1_000_000
  await t.rejects(executor.run(outOfTable, wanted), { code: 'MODEL_FAILED' })
  const { runs } = opened[0]!
  t.ok(await executor.run(batchOf(1, 1), wanted))
  t.equal(opened[0]!.runs, runs + 1)
})

t.test('what is computed in both is counted together', async (t) => {
  const { executor, open } = await setUp(cheapTo8)
  await open()
  const before = (await executor.stats())!.rows.exported
  await executor.run(batchOf(3, 1), wanted)
  await executor.run(batchOf(20, 1), wanted)
  t.equal((await executor.stats())!.rows.exported - before, 23)
})

t.test('close() frees both', async (t) => {
  const { executor, open, opened, inWorker } = await setUp(cheapTo8)
  await open()
  await executor.close()
  t.equal(opened[0]!.closed, 1)
  await t.rejects(opened[0]!.graph.run(batchOf(1, 1), wanted), { message: /is closed/ })
  await t.rejects(inWorker.run(batchOf(1, 1), wanted), { message: /has been closed/ })
})

t.test('a graph that costs more than its hand-over is never opened here', async (t) => {
  for (const seconds of [() => 0.001, () => 0.0004]) {
    const { executor, open, opened, inWorker } = await setUp(seconds)
    await open()
    t.equal(executor.rowsHere, 0)
    t.equal(opened.length, 0)
    t.same(await executor.run(batchOf(1, 1), wanted), await inWorker.run(batchOf(1, 1), wanted))
  }
})

t.test('nor one whose costs are given, nor by a pool that can not', async (t) => {
  const { executor, open, opened } = await setUp(() => 0)
  const part = { a: 0, b: 0 }
  const compiler = {
    cache: undefined,
    candidateBytes: 0,
    now: () => 0,
    costs: { full: part, shared_context: part, candidate_encoder: part, cached: part },
  }
  await open({ compiler })
  await open({ pool: createFakeEnginePool({ signature: { inputs: [], outputs: [] } }) })
  t.equal(executor.rowsHere, 0)
  t.equal(opened.length, 0)
})

t.test('no more rows than a batch may have are computed here', async (t) => {
  const { executor, open } = await setUp(() => 0)
  await open({ maxBatchRows: 5 })
  t.equal(executor.rowsHere, 4)
})

t.test('a graph that can not be warmed here is not used, and freed with the others', async (t) => {
  let closed = 0
  const signature = {
    inputs: [
      { name: 'sparse', dtype: 'int32' as const, width: 3 },
      { name: 'dense', dtype: 'float32' as const, width: 2 },
    ],
    outputs: [{ name: 'probabilities', width: 2 }],
  }
  const poor: EnginePool = {
    ...createFakeEnginePool({ signature }),
    loadHere: async () => ({
      signature,
      run: async () => {
        throw new Error('too little memory')
      },
      close: async () => {
        closed++
      },
    }),
  }
  const graph: PooledGraph = { ...(await poor.load(source)), measure: async () => 0 }
  const executor = createExecutor(graph)
  const options = { ...limits, pool: poor, clock: createClock() }
  await t.rejects(executor.openHere(options, source, manifest, encoder), { message: 'too little memory' })
  t.equal(executor.rowsHere, 0)
  t.ok(await executor.run(batchOf(1, 1), wanted), 'workers answer')
  await executor.close()
  t.equal(closed, 1)
})
