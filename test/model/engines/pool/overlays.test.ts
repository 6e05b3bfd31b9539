import t, { type Test } from 'tap'
import type { CompiledPlan } from '../../../../src/model/contracts/compiled-plan.ts'
import type { GraphSource } from '../../../../src/model/contracts/engine.ts'
import type { Overlay } from '../../../../src/model/contracts/live-tables.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import { emptyOverlay } from '../../../../src/model/serving/deltas/overlay.ts'
import {
  createFakeWorker,
  type FakeWorker,
  type FakeWorkerBehaviour,
  fakeSignature,
} from '../../../support/fakes/worker-client.ts'
import { until } from '../../../support/until.ts'

const tables = [{ width: 2 }]
const overlay = (number: number): Overlay => emptyOverlay(tables, number)
const plan = { description: { live: { tables: [] } } } as unknown as CompiledPlan
const source: GraphSource = { folder: '/models/ads/1', format: 'layers', file: 'model.json', outputs: ['sum'], plan }

/** A pool of two fake workers with a graph; `behaviours[n]` is of the n-th worker ever made. */
async function setUp(t: Test, behaviours: FakeWorkerBehaviour[] = []) {
  const workers: FakeWorker[] = []
  const failed: unknown[] = []
  const pool = await createEnginePool({
    engine: 'onnx',
    workers: 2,
    onReloadFailed: (_, error) => failed.push(error),
    createWorker: () => {
      const worker = createFakeWorker(behaviours[workers.length])
      workers.push(worker)
      return worker
    },
  })
  t.teardown(() => pool.close())
  const graph = await pool.load(source)
  const overlaysOf = (i: number) =>
    (workers[i]?.tasks ?? []).flatMap((task) => (task.type === 'overlay' ? [task.overlay.number] : []))
  return { pool, workers, graph, overlaysOf, failed }
}

t.test('every worker takes an overlay over, also one that replaces another', async (t) => {
  const { pool, workers, graph, overlaysOf } = await setUp(t)
  await graph.setOverlay!(overlay(1))
  await graph.setOverlay!(overlay(2))
  t.same(
    [overlaysOf(0), overlaysOf(1)],
    [
      [1, 2],
      [1, 2],
    ],
  )
  workers[0]!.die('killed')
  await until(() => pool.stats().alive === 2 && overlaysOf(2).length === 1)
  t.same(overlaysOf(2), [2])
})

t.test(
  'an overlay that comes while a worker takes the one before over is taken over too, before any call',
  async (t) => {
    let proceed = () => {}
    const waits = new Promise<void>((resolve) => {
      proceed = resolve
    })
    const { workers, graph, overlaysOf } = await setUp(t, [
      {},
      {},
      { overlay: ({ number }) => (number === 1 ? waits : Promise.resolve()) },
    ])
    await graph.setOverlay!(overlay(1))
    workers[0]!.die('killed')
    await until(() => workers.length === 3 && overlaysOf(2).length === 1)
    // It holds no graph yet, so nobody waits for it.
    await graph.setOverlay!(overlay(2))
    proceed()
    await until(() => overlaysOf(2).length === 2)
    t.same(overlaysOf(2), [1, 2])
  },
)

t.test('where a worker can not take an overlay over, all go on with the former one', async (t) => {
  const fails = {
    overlay: async ({ number }: Overlay) => {
      if (number === 2) throw new RangeError('no memory')
    },
  }
  const { graph, overlaysOf } = await setUp(t, [{}, fails])
  await graph.setOverlay!(overlay(1))
  await t.rejects(graph.setOverlay!(overlay(2)), { message: 'no memory' })
  t.same(
    [overlaysOf(0), overlaysOf(1)],
    [
      [1, 2, 1],
      [1, 2, 1],
    ],
  )
})

t.test('the first overlay that fails leaves the tables unchanged', async (t) => {
  const fails = {
    overlay: async ({ number }: Overlay) => {
      if (number === 1) throw new RangeError('no memory')
    },
  }
  const { graph, overlaysOf } = await setUp(t, [{}, fails])
  await t.rejects(graph.setOverlay!(overlay(1)), { message: 'no memory' })
  t.same(overlaysOf(0), [1, 0])
})

t.test('a worker that dies meanwhile does not count', async (t) => {
  const { workers, graph, overlaysOf, pool } = await setUp(t)
  workers[1]!.die('killed')
  await graph.setOverlay!(overlay(1))
  await until(() => pool.stats().alive === 2 && overlaysOf(2).length === 1)
  t.same([overlaysOf(0), overlaysOf(2)], [[1], [1]])
})

t.test('a worker that can not load a plan with live tables tries again: the saved graph has former rows', async (t) => {
  let tries = 0
  const sources: GraphSource[] = []
  const load = async (source: GraphSource) => {
    sources.push(source)
    if (tries++ === 0) throw new Error('the file is gone')
    return fakeSignature
  }
  const { workers, graph, failed, overlaysOf } = await setUp(t, [{}, {}, { load }])
  await graph.setOverlay!(overlay(1))
  workers[0]!.die('killed')
  await until(() => workers.length === 3 && overlaysOf(2).length === 1)
  t.equal(failed.length, 1)
  t.same(
    sources.map(({ plan }) => plan !== undefined),
    [true, true],
  )
})
