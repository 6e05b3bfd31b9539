import { join } from 'node:path'
import t from 'tap'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import { createWorkerClient, type WorkerClient } from '../../../../src/model/engines/pool/worker-client.ts'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { exampleModel, withPlan } from '../../../support/compile/random-model.ts'
import { until } from '../../../support/until.ts'

/* Real worker threads with a real engine. */

const mortalWorker = new URL('../../../support/mortal-worker.js', import.meta.url)
const hangingWorker = new URL('../../../support/hanging-worker.js', import.meta.url)

const models = await temporaryFolder(t)
const manifest = await writeTestBundle(models)
const source = {
  folder: join(models, 'ads', '1'),
  format: 'layers' as const,
  file: 'model.json',
  outputs: ['probabilities', 'gate_ctr'],
}
const batch = (rows: number) => ({
  rows,
  inputs: {
    sparse: Int32Array.from({ length: rows * 3 }, (_, i) => [1, 5, 30][i % 3]!),
    dense: new Float32Array(rows * 2).fill(0.5),
  },
})

t.test('threads compute, one that dies is replaced, and only its calls fail', async (t) => {
  const clients: WorkerClient[] = []
  const pool = await createEnginePool({
    engine: 'onnx',
    workers: 2,
    createWorker: (settings) => {
      const client = createWorkerClient(settings, mortalWorker)
      clients.push(client)
      return client
    },
  })
  t.teardown(() => pool.close())
  const graph = await pool.load(source)
  t.same(
    graph.signature.outputs.map(({ name, width }) => [name, width]),
    [
      ['probabilities', manifest.tasks.length],
      ['gate_ctr', 3],
    ],
  )
  const expected = (await graph.run(batch(1), ['probabilities'])).probabilities!

  const deadly = graph.run(batch(1), ['die'])
  const runs = Array.from({ length: 8 }, (_, i) => graph.run(batch(i + 1), ['probabilities']))
  await t.rejects(deadly, { code: 'MODEL_FAILED', message: /worker thread died.*told to die/ })
  const outcomes = await Promise.allSettled(runs)
  t.ok(outcomes.filter(({ status }) => status === 'fulfilled').length >= 4, 'the other thread answers its own')
  const after = await Promise.all(Array.from({ length: 8 }, (_, i) => graph.run(batch(i + 1), ['probabilities'])))
  for (const { probabilities } of after) t.same(probabilities!.subarray(0, 2), expected)
  await until(() => pool.stats().alive === 2)
  t.same([clients.length, pool.stats().replaced], [3, 1])
})

t.test('a worker answers calls while it loads another graph', async (t) => {
  const pool = await createEnginePool({ engine: 'onnx', workers: 1 })
  t.teardown(() => pool.close())
  const graph = await pool.load(source)
  await withPlan(exampleModel, await temporaryFolder(t), async (plan) => {
    let loaded = false
    // Costs that are not known are measured: in some hundred turns.
    const loading = pool.load({ ...source, plan, cacheBytes: 1 << 20 }).then((planned) => {
      loaded = true
      return planned
    })
    let meanwhile = 0
    for (; !loaded; meanwhile++) await graph.run(batch(1), ['probabilities'])
    t.ok(meanwhile > 2, `${meanwhile} calls`)
    await (await loading).close()
  })
})

t.test('closing answers what was asked before', async (t) => {
  const pool = await createEnginePool({ engine: 'onnx', workers: 1 })
  const graph = await pool.load(source)
  const runs = Array.from({ length: 20 }, () => graph.run(batch(500), ['probabilities']))
  await Promise.all([pool.close(), pool.close()])
  for (const { probabilities } of await Promise.all(runs)) t.equal(probabilities!.length, 1000)
})

t.test('a thread that hangs is ended by force', async (t) => {
  const client = createWorkerClient({ engine: 'onnx', threads: 1 }, hangingWorker)
  await client.stop()
  t.equal(await client.ended, 'exit code 1')
})

t.test('an error inside the engine fails its call alone, with its code', async (t) => {
  const pool = await createEnginePool({ engine: 'onnx', workers: 1 })
  t.teardown(() => pool.close())
  const graph = await pool.load(source)
  const outOfTable = batch(1)
  outOfTable.inputs.sparse[0] = 1_000_000
  await t.rejects(graph.run(outOfTable, ['probabilities']), { code: 'MODEL_FAILED' })
  t.ok(await graph.run(batch(1), ['probabilities', 'gate_ctr']))
  await t.rejects(pool.load({ ...source, file: 'nothing.json' }), { code: 'INVALID_BUNDLE' })
  await graph.close()
  await t.rejects(graph.run(batch(1), ['probabilities']))
})

t.test('an engine is chosen by name, or the first that works', async (t) => {
  for (const [engine, name] of [
    ['auto', /^onnx$/],
    ['tensorflow', /^tensorflow \((native|wasm|cpu)\)$/],
  ] as const) {
    const pool = await createEnginePool({ engine, workers: 1 })
    t.match(pool.engine, name)
    const graph = await pool.load(source)
    t.equal((await graph.run(batch(3), ['probabilities'])).probabilities!.length, 6)
    await pool.close()
  }
})

t.test('a task that can not be copied is rejected, and not pending for ever', async (t) => {
  const client = createWorkerClient({ engine: 'onnx', threads: 1 })
  t.teardown(() => client.stop())
  await t.rejects(client.call({ type: 'stats', graph: (() => 1) as never }), { name: 'DataCloneError' })
  t.equal(client.pending, 0)
})
