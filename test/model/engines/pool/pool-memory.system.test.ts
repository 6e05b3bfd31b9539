import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import type { Batch, GraphSource, Outputs } from '../../../../src/model/contracts/engine.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import { createWorkerClient, WorkerLostError } from '../../../../src/model/engines/pool/worker-client.ts'
import { Batcher } from '../../../../src/model/serving/batching/batcher.ts'
import { FairShare } from '../../../../src/model/serving/batching/fair-share.ts'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { createFakeWorker, type FakeWorker, fakeSignature } from '../../../support/fakes/worker-client.ts'
import { until } from '../../../support/until.ts'

/* Memory that a pool's threads share. */

const source: GraphSource = { folder: '/models/ads/1', format: 'layers', file: 'model.json', outputs: ['sum'] }

/** Rows that no slab but one of its own has room for. */
const many = (1 << 16) + 1

/** A pool of two fake workers, that load a graph when the test says so, if it wants to. */
async function setUp(t: { teardown(callback: () => Promise<void>): void }, load?: () => Promise<unknown>) {
  const workers: FakeWorker[] = []
  const pool = await createEnginePool({
    engine: 'onnx',
    workers: 2,
    createWorker() {
      const worker = createFakeWorker(load ? { load } : {})
      workers.push(worker)
      return worker
    },
  })
  t.teardown(() => pool.close())
  return { pool, workers }
}

/** The messages about one graph that a worker heard, in order. */
const heard = ({ heard }: FakeWorker) =>
  heard.flatMap((message) => {
    if (message.type === 'add-slab') return [`add ${message.slab.id}`]
    if (message.type === 'remove-slab') return [`remove ${message.slab}`]
    return [message.type]
  })

t.test('workers know memory before they are asked for what is in it, and hear when it is gone', async (t) => {
  const { pool, workers } = await setUp(t)
  const graph = await pool.load(source)
  const small = graph.allocate!(3)!
  const large = graph.allocate!(many)!
  const batch: Batch = {
    rows: 3,
    shared: [small.part],
    get inputs(): never {
      throw new Error('rows in shared memory are not sent')
    },
  }
  const run = graph.run(batch, ['sum'])
  await until(() => workers[0]!.pending === 1)
  large.release()
  // Memory of large requests is kept for the next, unless it is too small.
  graph.allocate!(many + 1)
  small.release()
  t.same(workers.map(heard), [
    ['start', 'load', 'add 0', 'add 1', 'run-shared', 'remove 1', 'add 2'],
    ['start', 'load', 'add 0', 'add 1', 'remove 1', 'add 2'],
  ])
  t.match(workers[0]!.heard[4], { parts: [{ slab: 0, start: 0, count: 3 }], wanted: ['sum'] })
  workers[0]!.finish({ sum: new Float32Array(3) })
  await run
})

t.test('a worker that replaces another is told of all memory, once it has the graph', async (t) => {
  let slow: (() => void) | undefined
  let hold = false
  const { pool, workers } = await setUp(t, async () => {
    if (hold)
      await new Promise<void>((resolve) => {
        slow = resolve
      })
    return fakeSignature
  })
  const graph = await pool.load(source)
  graph.allocate!(1)!
  const gone = graph.allocate!(many)!
  hold = true
  workers[0]!.die('out of memory')
  await until(() => slow !== undefined)
  // While it loads, memory comes and goes.
  gone.release()
  graph.allocate!(many + 1)!
  slow!()
  await until(() => workers[2]!.heard.length > 2)
  t.same(heard(workers[2]!), ['start', 'load', 'add 0', 'add 2'])
  graph.allocate!(many)!
  for (const worker of [workers[1]!, workers[2]!]) t.equal(heard(worker).at(-1), 'add 3')
  t.notMatch(heard(workers[0]!), ['add 2'])
})

t.test('graphs have memory of their own, and none once they are closed', async (t) => {
  const { pool, workers } = await setUp(t)
  const [one, other] = [await pool.load(source), await pool.load(source)]
  one.allocate!(1)
  other.allocate!(1)
  const slabs = workers[1]!.heard.flatMap((message) => (message.type === 'add-slab' ? [message] : []))
  t.same(
    slabs.map(({ graph, slab }) => [graph, slab.id]),
    [
      [0, 0],
      [1, 0],
    ],
  )
  t.not(slabs[0]!.slab.buffer, slabs[1]!.slab.buffer)
  await one.close()
  workers[0]!.die('out of memory')
  await until(() => workers[2] !== undefined && workers[2].heard.length > 2)
  t.same(heard(workers[2]!), ['start', 'load', 'add 0'], 'of the one that is left')
})

t.test('a thread that dies in the middle of a batch fails that alone; its memory is used again', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const script = new URL('../../../support/mortal-worker.js', import.meta.url)
  let onLoaded: () => void = () => undefined
  const pool = await createEnginePool({
    engine: 'onnx',
    workers: 2,
    createWorker(settings) {
      const client = createWorkerClient(settings, script)
      const { call } = client
      client.call = async (task) => {
        const answer = await call(task)
        if (task.type === 'load') onLoaded()
        return answer
      }
      return client
    },
  })
  t.teardown(() => pool.close())
  const graph = await pool.load({ ...source, folder: join(models, 'ads', '1'), outputs: ['probabilities'] })
  /** Places of the rows that were in a deadly batch. */
  const doomed = new Set<string>()
  const placeOf = ({ slab, start }: { slab: number; start: number }) => `${slab}/${start}`
  const batcher = new Batcher({
    maxBatchRows: 8,
    maxDelayMs: 0,
    maxQueueRows: 10_000,
    share: new FairShare(2),
    clock: systemClock,
    isolate: (error) => !(error instanceof WorkerLostError),
    execute(batch, wanted) {
      if (wanted.includes('die')) for (const part of batch.shared!) doomed.add(placeOf(part))
      return graph.run(batch, wanted)
    },
  })
  t.teardown(() => batcher.close())
  const ask = async (seed: number, deadly: boolean) => {
    const rows = 1 + (seed % 3)
    const { inputs, part, release } = graph.allocate!(rows)!
    inputs.sparse!.set(Int32Array.from({ length: rows * 3 }, (_, i) => [1, 5, 30 + (seed % 40)][i % 3]!))
    inputs.dense!.set(Float32Array.from({ length: rows * 2 }, (_, i) => seed / 8 + i))
    // Not shared: the block will be others' by the time answers are compared.
    const own = { sparse: Int32Array.from(inputs.sparse!), dense: Float32Array.from(inputs.dense!) }
    const { outputs } = batcher.submit({
      batch: { rows, inputs, shared: [part] },
      wanted: deadly ? ['probabilities', 'die'] : ['probabilities'],
      deadline: systemClock.now() + 60_000,
      released: release,
    })
    const answer: Outputs | Error = await outputs.catch((error) => error)
    return { rows, own, place: placeOf(part), answer }
  }
  for (let round = 0; round < 2; round++) {
    doomed.clear()
    const replaced = new Promise<void>((resolve) => {
      onLoaded = resolve
    })
    const asked = await Promise.all(Array.from({ length: 40 }, (_, i) => ask(round * 100 + i, i === 20)))
    // Two workers again, for one call each.
    await replaced
    for (const { rows, own, place, answer } of asked) {
      if (answer instanceof Error) {
        t.match(answer.message, /worker thread died.*told to die/)
        t.ok(doomed.has(place))
        continue
      }
      const expected = (await graph.run({ rows, inputs: own }, ['probabilities'])).probabilities!
      // The last digits may depend on what is computed in the same call.
      t.ok(answer.probabilities!.every((value, i) => Math.abs(value - expected[i]!) <= 1e-6))
    }
    t.ok(doomed.size >= 1 && doomed.size <= 8, `${doomed.size} requests were in the deadly batch`)
    const { part, release } = graph.allocate!(1)!
    t.same(part, { slab: 0, start: 0, count: 1 }, 'all memory is free again')
    release()
  }
  t.equal(pool.stats().replaced, 2)
})
