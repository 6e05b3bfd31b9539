import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import type { CompiledPlan } from '../../../../src/model/contracts/compiled-plan.ts'
import type { Batch } from '../../../../src/model/contracts/engine.ts'
import type { EnginePool, PooledGraph } from '../../../../src/model/engines/pool/engine-pool.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import type { SmallGraph } from '../../../../src/model/engines/small/small-graph.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import { createExecutor } from '../../../../src/model/serving/prediction/executor.ts'
import { loadGraph, outputsOf } from '../../../../src/model/serving/prediction/load-graph.ts'
import type { LoadOptions } from '../../../../src/model/serving/prediction/loaded-model.ts'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { createFakeEnginePool } from '../../../support/fakes/engine-pool.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const bundle = await readBundle(models, 'ads', '1')
const { manifest } = bundle
const encoder = createEncoder(manifest.features)
const wanted = ['probabilities']
const limits = { maxBatchRows: 64, maxDelayMs: 0, maxQueueRows: 1000, maxRequestRows: 500 }

/** Real workers, and a real plan. */
const pool = await createEnginePool({ engine: 'onnx', workers: 1 })
t.teardown(() => pool.close())
const compiler = { cache: undefined, candidateBytes: 0, now: Date.now }
const { graph: inWorker, compiled } = await loadGraph(bundle, outputsOf(manifest), {
  ...limits,
  pool,
  compiler,
  clock: systemClock,
})
t.teardown(() => compiled.dispose())
const { source } = compiled

async function openSmall(plan: CompiledPlan): Promise<SmallGraph> {
  const small = await pool.openSmall!(plan)
  if (typeof small === 'string') throw new Error(small)
  return small
}

/** A hand-over takes a tenth of a millisecond; a call in this thread what the test says, ms. */
function setUp(costOf: (rows: number) => number) {
  let now = 0
  let opened = 0
  let workerRuns = 0
  const graph: PooledGraph = {
    ...inWorker,
    measure: async () => 0.0009,
    run(batch, wanted) {
      now += 1
      workerRuns++
      return inWorker.run(batch, wanted)
    },
  }
  const watched: EnginePool = {
    ...pool,
    async openSmall(plan) {
      const small = await openSmall(plan)
      opened++
      return {
        ...small,
        run(batch) {
          now += costOf(batch.rows)
          return small.run(batch)
        },
      }
    },
  }
  const executor = createExecutor(graph)
  const clock = { now: () => now, after: () => () => undefined, soon: queueMicrotask }
  const open = (options: Partial<LoadOptions> = {}, from = source) =>
    executor.openHere({ ...limits, pool: watched, clock, ...options }, from, manifest, encoder)
  return { executor, open, opened: () => opened, workerRuns: () => workerRuns }
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

const cheapTo8 = (rows: number) => rows * 0.005

t.test(
  'a small graph is computed in the calling thread, up to the rows that cost less than their hand-over',
  async (t) => {
    const { executor, open, workerRuns } = setUp(cheapTo8)
    t.equal(executor.rowsHere, 0)
    await open()
    t.equal(executor.rowsHere, 8)
    const runs = workerRuns()
    for (let rows = 1; rows <= 8; rows++) {
      const { probabilities: here } = executor.runHere(batchOf(rows, rows))
      const { probabilities: there } = await inWorker.run(batchOf(rows, rows), wanted)
      t.equal(here!.length, there!.length)
      t.ok(
        here!.every((value, i) => Math.abs(value - there![i]!) < 1e-6),
        'as in a worker',
      )
    }
    t.equal(workerRuns(), runs, 'no worker was asked')
  },
)

t.test('a call that fails in the calling thread leaves it of use', async (t) => {
  const { executor, open } = setUp(cheapTo8)
  await open()
  const outOfTable = batchOf(1, 1)
  outOfTable.inputs.sparse![0] = 1_000_000
  t.throws(() => executor.runHere(outOfTable), { name: 'RangeError', message: /none for the id 1000000/ })
  t.equal(executor.runHere(batchOf(1, 1)).probabilities!.length, 2)
})

t.test('what is computed in both is counted together, from the last reset on', async (t) => {
  const { executor, open } = setUp(cheapTo8)
  await open()
  await executor.reset()
  executor.runHere(batchOf(3, 1))
  await executor.run(batchOf(20, 1), wanted)
  const { rows, memory } = (await executor.stats())!
  t.equal(rows.full + rows.shared_context + rows.cached, 23)
  t.ok(memory.variants > (await inWorker.stats())!.memory.variants, 'its memory counts')
  await executor.reset()
  t.equal((await executor.stats())!.rows.full, 0)
})

t.test('a graph that costs more than its hand-over stays in the workers', async (t) => {
  for (const cost of [() => 0.05, () => 0.2]) {
    const { executor, open } = setUp(cost)
    await open()
    t.equal(executor.rowsHere, 0)
    t.throws(() => executor.runHere(batchOf(1, 1)))
    t.equal((await executor.run(batchOf(1, 1), wanted)).probabilities!.length, 2)
  }
})

t.test('nor is one opened whose costs are given, in int8, as it was saved, or by a pool that can not', async (t) => {
  const { executor, open, opened } = setUp(() => 0)
  const part = { a: 0, b: 0 }
  const costs = { full: part, shared_context: part, candidate_encoder: part, cached: part }
  await open({ compiler: { ...compiler, costs } })
  await open({}, { ...source, plan: { ...source.plan!, precision: 'int8' } })
  const { plan: _, ...saved } = source
  await open({}, saved)
  await open({ pool: createFakeEnginePool({ signature: { inputs: [], outputs: [] } }) })
  t.equal(executor.rowsHere, 0)
  t.equal(opened(), 0)
})

t.test('a graph that answers otherwise here than in a worker stays there', async (t) => {
  const wrong: EnginePool = {
    ...pool,
    openSmall: async (plan) => {
      const small = await openSmall(plan)
      return { ...small, run: (batch) => small.run(batch).map((value) => value + 0.01) }
    },
  }
  const { executor, open } = setUp(() => 0)
  await open({ pool: wrong })
  t.equal(executor.rowsHere, 0)
})

t.test('no more rows than a batch may have are computed here', async (t) => {
  const { executor, open } = setUp(() => 0)
  await open({ maxBatchRows: 5 })
  t.equal(executor.rowsHere, 4)
})
