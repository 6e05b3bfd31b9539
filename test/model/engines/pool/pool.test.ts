import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import type { CompiledPlan } from '../../../../src/model/contracts/compiled-plan.ts'
import type { GraphSource } from '../../../../src/model/contracts/engine.ts'
import type { EnginePoolOptions, LostWorker } from '../../../../src/model/engines/pool/engine-pool.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import {
  createFakeWorker,
  type FakeWorker,
  type FakeWorkerBehaviour,
  fakeSignature,
} from '../../../support/fakes/worker-client.ts'

const source: GraphSource = { folder: '/models/ads/1', format: 'layers', file: 'model.json', outputs: ['sum'] }
const batch = { rows: 1, inputs: { dense: new Float32Array(1) } }

/** A pool of fake workers; the behaviour of the n-th worker ever made is `behaviours[n]`. */
async function setUp(
  t: { teardown(callback: () => Promise<void>): void },
  options: Partial<EnginePoolOptions> = {},
  behaviours: FakeWorkerBehaviour[] = [],
) {
  const workers: FakeWorker[] = []
  const lost: LostWorker[] = []
  const born: (() => void)[] = []
  const pool = await createEnginePool({
    engine: 'onnx',
    workers: 2,
    onWorkerLost: (worker) => lost.push(worker),
    createWorker: () => {
      const worker = createFakeWorker(behaviours[workers.length])
      workers.push(worker)
      for (const resolve of born.splice(0)) resolve()
      return worker
    },
    ...options,
  })
  t.teardown(() => pool.close())
  const nextWorker = () => new Promise<void>((resolve) => born.push(resolve))
  return { pool, workers, lost, nextWorker }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

t.test('a graph is loaded in every worker, and a call goes to the least busy one', async (t) => {
  const { pool, workers } = await setUp(t)
  t.same([pool.engine, pool.size], ['fake', 2])
  const graph = await pool.load(source)
  t.same(graph.signature, fakeSignature)
  for (const worker of workers) t.equal(worker.tasks.filter(({ type }) => type === 'load').length, 1)
  const runs = [graph.run(batch, ['sum']), graph.run(batch, ['sum'])]
  await settle()
  t.same(
    workers.map(({ pending }) => pending),
    [1, 1],
  )
  workers[0]!.finish({ sum: new Float32Array([1]) })
  t.same(await runs[0], { sum: new Float32Array([1]) })
  const third = graph.run(batch, ['sum'])
  await settle()
  t.same(
    workers.map(({ pending }) => pending),
    [1, 1],
    'the one that is free',
  )
  workers[0]!.finish({ sum: new Float32Array([3]) })
  workers[1]!.finish({ sum: new Float32Array([2]) })
  t.same([await runs[1], await third], [{ sum: new Float32Array([2]) }, { sum: new Float32Array([3]) }])
})

t.test('while one half of the workers load a graph, the other half answers', async (t) => {
  const loads: (() => void)[] = []
  let slow = false
  const load = () =>
    slow
      ? new Promise((resolve) => loads.push(() => resolve(fakeSignature)))
      : Promise.resolve(fakeSignature as unknown)
  const { pool, workers } = await setUp(t, {}, [{ load }, { load }])
  const graph = await pool.load(source)
  slow = true
  const second = pool.load(source)
  for (const [loading, free] of [
    [0, 1],
    [1, 0],
  ] as const) {
    await settle()
    t.equal(loads.length, 1, 'one at a time')
    const runs = [graph.run(batch, ['sum']), graph.run(batch, ['sum'])]
    await settle()
    t.same([workers[loading]!.pending, workers[free]!.pending], [0, 2])
    for (const _ of runs) workers[free]!.finish({ sum: new Float32Array([1]) })
    await Promise.all(runs)
    loads.shift()?.()
  }
  t.same((await second).signature, fakeSignature)
})

t.test(
  'a worker tells when it turns to a call, and what it took; what it had not begun is not lost with it',
  async (t) => {
    const { pool, workers } = await setUp(t)
    const graph = await pool.load(source)
    const heard: string[] = []
    const run = (name: string) =>
      graph.run(batch, ['sum'], {
        begun: () => heard.push(`${name} begun`),
        took: (seconds) => heard.push(`${name} took ${seconds} s`),
      })
    const [a, b] = [run('a'), run('b')]
    await settle()
    // Among two that are as busy, the one that turned to its call first is chosen.
    const [c, d] = [run('c'), run('d')]
    await settle()
    t.same(
      workers.map(({ pending }) => pending),
      [2, 2],
    )
    t.same(heard, ['a begun', 'b begun'])
    workers[0]!.finish({ sum: new Float32Array([1]) })
    await a
    t.same(heard.splice(0), ['a begun', 'b begun', 'a took 0 s', 'c begun'])
    const lost = t.rejects(b, { code: 'MODEL_FAILED', message: /worker thread died/ })
    workers[1]!.die('out of memory')
    await lost
    await settle()
    t.equal(workers[0]!.pending, 2, 'd waits there now')
    t.same(heard, [])
    workers[0]!.finish({ sum: new Float32Array([3]) })
    await c
    t.same(heard, ['c took 0 s', 'd begun'])
    workers[0]!.finish({ sum: new Float32Array([4]) })
    t.same(await d, { sum: new Float32Array([4]) })
  },
)

t.test('a worker that dies is replaced; its calls fail, others notice nothing', async (t) => {
  const { pool, workers, lost, nextWorker } = await setUp(t)
  const graph = await pool.load(source)
  const doomed = graph.run(batch, ['sum'])
  const other = graph.run(batch, ['sum'])
  doomed.catch(() => undefined)
  await settle()
  const replaced = nextWorker()
  workers[0]!.die('out of memory')
  await t.rejects(doomed, { code: 'MODEL_FAILED', message: /worker thread died.*out of memory/ })
  const death = { reason: 'out of memory', folder: '/models/ads/1' }
  t.same(lost, [death])
  workers[1]!.finish({ sum: new Float32Array([2]) })
  t.ok(await other)
  await replaced
  await settle()
  await settle()
  t.same(pool.stats(), { workers: 2, alive: 2, replaced: 1, lost: death })
  t.same(
    workers[2]!.tasks.map(({ type }) => type),
    ['start', 'load'],
    'the new worker loads the graph before it is called',
  )
  const runs = [graph.run(batch, ['sum']), graph.run(batch, ['sum'])]
  await settle()
  t.equal(workers[2]!.pending, 1)
  workers[1]!.finish({})
  workers[2]!.finish({})
  await Promise.all(runs)
})

t.test('while every worker is being replaced, calls wait', async (t) => {
  const { pool, workers, nextWorker } = await setUp(t, { workers: 1 })
  const graph = await pool.load(source)
  const replaced = nextWorker()
  workers[0]!.die('gone')
  await settle()
  const run = graph.run(batch, ['sum'])
  await replaced
  while (workers[1]!.pending === 0) await settle()
  workers[1]!.finish({ sum: new Float32Array([1]) })
  t.ok(await run)
})

t.test('a graph that is to be loaded while every worker is being replaced can be loaded later', async (t) => {
  let begin!: () => void
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  const { pool, workers, nextWorker } = await setUp(t, { workers: 1 }, [{}, { start: () => begun }])
  const replaced = nextWorker()
  workers[0]!.die('gone')
  await settle()
  await t.rejects(pool.load(source), { code: 'ENGINE_UNAVAILABLE', message: 'no worker is alive', transient: true })
  begin()
  await replaced
  while (pool.stats().alive === 0) await settle()
  t.ok(await pool.load(source))
})

t.test('a worker that dies at its start is tried again', async (t) => {
  const { pool, workers, nextWorker } = await setUp(t, { workers: 1 }, [
    {},
    { start: () => Promise.reject(new Error('no memory')) },
  ])
  await pool.load(source)
  workers[0]!.die('gone')
  while (workers.length < 3) await nextWorker()
  while (pool.stats().alive === 0) await settle()
  t.equal(workers.length, 3)
})

t.test('a replaced worker that can not load a graph leaves it to the others', async (t) => {
  const failed: unknown[] = []
  const broken = new Error('the file is gone')
  const { pool, workers, nextWorker } = await setUp(t, { onReloadFailed: (_, error) => failed.push(error) }, [
    {},
    {},
    { load: () => Promise.reject(broken) },
  ])
  const graph = await pool.load(source)
  const replaced = nextWorker()
  workers[0]!.die('gone')
  await replaced
  while (failed.length === 0) await settle()
  t.same(failed, [broken])
  const runs = [graph.run(batch, ['sum']), graph.run(batch, ['sum'])]
  await settle()
  t.same(
    workers.map(({ pending }) => pending),
    [0, 2, 0],
  )
  workers[1]!.finish({})
  workers[1]!.finish({})
  await Promise.all(runs)
})

t.test('a replaced worker tries a graph again that it could not load', async (t) => {
  let failures = 0
  let missing = true
  const load = async () => {
    if (missing) throw new ModelError('INVALID_BUNDLE', 'model.json: is missing')
    return fakeSignature
  }
  const { pool, workers, nextWorker } = await setUp(t, { workers: 1, onReloadFailed: () => failures++ }, [{}, { load }])
  const graph = await pool.load(source)
  const replaced = nextWorker()
  workers[0]!.die('gone')
  await replaced
  while (failures === 0) await settle()
  missing = false
  const run = graph.run(batch, ['sum'])
  while (workers[1]!.pending === 0) await settle()
  workers[1]!.finish({ sum: new Float32Array([1]) })
  t.same(await run, { sum: new Float32Array([1]) })
})

t.test('a compiled plan that is gone is given up for the saved graph', async (t) => {
  const plan = { folder: '/cache/plan', description: {} } as unknown as CompiledPlan
  const loads: GraphSource[] = []
  const load = async (source: GraphSource) => {
    loads.push(source)
    if (source.plan) throw new ModelError('MODEL_FAILED', 'the plan is gone')
    return fakeSignature
  }
  const { pool, workers, nextWorker } = await setUp(t, { workers: 1 }, [{}, { load }])
  const graph = await pool.load({ ...source, plan })
  const replaced = nextWorker()
  workers[0]!.die('gone')
  await replaced
  const run = graph.run(batch, ['sum'])
  while (workers[1]!.pending === 0) await settle()
  workers[1]!.finish({ sum: new Float32Array([1]) })
  await run
  t.same(loads, [{ ...source, plan }, source])
})

t.test('a graph that half of the workers have is answered by these, until it is spread', async (t) => {
  const { pool, workers } = await setUp(t)
  await pool.load(source)
  const graph = await pool.load(source, 'in_half')
  const loads = () => workers.map(({ tasks }) => tasks.filter(({ type }) => type === 'load').length)
  t.same(loads(), [2, 1])
  const runs = [graph.run(batch, ['sum']), graph.run(batch, ['sum'])]
  await settle()
  t.same(
    workers.map(({ pending }) => pending),
    [2, 0],
  )
  await graph.spread!()
  t.same(loads(), [2, 2])
  runs.push(graph.run(batch, ['sum']))
  await settle()
  t.same(
    workers.map(({ pending }) => pending),
    [2, 1],
  )
  for (const worker of [workers[0]!, workers[0]!, workers[1]!]) worker.finish({})
  await Promise.all(runs)
  await graph.close()
  await graph.spread!()
  t.same(loads(), [2, 2], 'not once it is closed')
})

t.test('a graph that fails to load is freed everywhere', async (t) => {
  const broken = new ModelError('UNSUPPORTED_GRAPH', 'layer x')
  const { pool, workers } = await setUp(t, {}, [{}, { load: () => Promise.reject(broken) }])
  await t.rejects(pool.load(source), broken)
  await settle()
  t.equal(workers[0]!.tasks.at(-1)!.type, 'unload')
})

t.test('a worker that is still loading a graph when another fails to frees it then', async (t) => {
  const broken = new ModelError('UNSUPPORTED_GRAPH', 'layer x')
  let loaded: (signature: unknown) => void = () => undefined
  const slow = { load: () => new Promise<unknown>((resolve) => (loaded = resolve)) }
  const { pool, workers } = await setUp(t, {}, [slow, { load: () => Promise.reject(broken) }])
  await t.rejects(pool.load(source), broken)
  t.notOk(workers[0]!.tasks.some(({ type }) => type === 'unload'))
  loaded(fakeSignature)
  await settle()
  t.equal(workers[0]!.tasks.at(-1)!.type, 'unload')
})

t.test('a closed graph is freed in every worker, and can not be called', async (t) => {
  const { pool, workers } = await setUp(t)
  const graph = await pool.load(source)
  await graph.close()
  await graph.close()
  for (const worker of workers) t.equal(worker.tasks.filter(({ type }) => type === 'unload').length, 1)
  await t.rejects(graph.run(batch, ['sum']), { message: /closed/ })
})

t.test('a pool whose workers can not start says why, and leaves none behind', async (t) => {
  const workers: FakeWorker[] = []
  const reason = new ModelError('ENGINE_UNAVAILABLE', 'no binary for this processor')
  const made = createEnginePool({
    engine: 'onnx',
    workers: 2,
    createWorker: () => {
      const worker = createFakeWorker(workers.length === 0 ? {} : { start: () => Promise.reject(reason) })
      workers.push(worker)
      return worker
    },
  })
  await t.rejects(made, reason)
  for (const worker of workers) t.equal(await worker.ended, 'stopped')
})

t.test('close() ends the workers and what waits for them; none is replaced', async (t) => {
  const { pool, workers } = await setUp(t)
  const graph = await pool.load(source)
  const run = graph.run(batch, ['sum'])
  run.catch(() => undefined)
  await settle()
  await pool.close()
  await pool.close()
  await t.rejects(run, { code: 'MODEL_FAILED' })
  await settle()
  t.equal(workers.length, 2)
  await t.rejects(graph.run(batch, ['sum']), { message: /closed/ })
})

t.test('a worker that is being started when the pool is closed ends as well', async (t) => {
  let started: (name: string) => void = () => undefined
  const start = () => new Promise<unknown>((resolve) => (started = resolve))
  const { pool, workers, nextWorker } = await setUp(t, { workers: 1 }, [{}, { start }])
  const replaced = nextWorker()
  workers[0]!.die('gone')
  await replaced
  await settle()
  await pool.close()
  t.equal(await workers[1]!.ended, 'stopped')
  started('fake')
  await settle()
  t.equal(pool.stats().alive, 0)
})
