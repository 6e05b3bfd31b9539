import { Agent } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import t from 'tap'
import { createWorkerClient } from '../../src/model/engines/pool/worker-client.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { send } from '../support/hostile-clients.ts'
import { startTestServer } from '../support/server.ts'
import { until } from '../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const script = new URL('../support/killed-worker.js', import.meta.url)
const body = JSON.stringify({
  context: { country: 'DE', hour: 21 },
  candidates: Array.from({ length: 20 }, (_, i) => ({ campaign: `c${i}`, price: i })),
})

t.test('a worker thread that dies under load takes its call with it, and nothing else', async (t) => {
  const flag = new Int32Array(new SharedArrayBuffer(4))
  const { fastify, pool, registry } = await startTestServer(t, {
    models,
    pool: { workers: 2, createWorker: (settings) => createWorkerClient({ ...settings, flag } as never, script) },
    limits: { maxBatchRows: 40 },
  })
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  const right = JSON.stringify(JSON.parse((await send(port, '/predict', body)).text).predictions)
  const failed: string[] = []
  let answered = 0
  let wrong = 0
  let over = false
  const clients = Array.from({ length: 16 }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (!over) {
      const { status, text, error } = await send(port, '/predict', body, {}, agent)
      if (status !== 200) failed.push(error ?? `${status} ${JSON.parse(text).code}`)
      else {
        answered++
        if (JSON.stringify(JSON.parse(text).predictions) !== right) wrong++
      }
    }
    agent.destroy()
  })
  for (let deaths = 1; deaths <= 2; deaths++) {
    const before = answered
    await until(() => answered > before + 50)
    flag[0] = 1
    await until(() => pool.stats().replaced === deaths && pool.stats().alive === 2)
  }
  const before = answered
  await until(() => answered > before + 100)
  over = true
  await Promise.all(clients)
  t.equal(wrong, 0)
  t.ok(failed.length >= 2, 'each death takes at least the request that it met')
  // The second may meet both calls in one thread, while the other has not loaded the graph again; each has two
  // requests.
  t.ok(failed.length <= 8, `and at most those of its calls: ${failed.length}`)
  t.same([...new Set(failed)], ['500 MODEL_FAILED'])
  t.match(registry.live()[0]!.model.stats(), { queuedRows: 0, inFlightBatches: 0, requests: 0 })
})

t.test('a version that loads while its worker thread dies is loaded again', async (t) => {
  const folder = await temporaryFolder(t)
  await writeTestBundle(folder)
  const flag = new Int32Array(new SharedArrayBuffer(4))
  const { registry, pool } = await startTestServer(t, {
    models: folder,
    pool: { workers: 1, createWorker: (settings) => createWorkerClient({ ...settings, flag } as never, script) },
  })
  const state = () => registry.list()[0]!.versions.find(({ version }) => version === '2')?.state
  await writeTestBundle(folder, { version: '2' })
  flag[0] = 1
  await registry.reconcile()
  t.equal(state(), 'failed', 'it is not known whether the version killed the thread')
  t.equal(pool.stats().replaced, 1)
  await until(async () => {
    await registry.reconcile()
    return state() === 'ready'
  })
})

t.test('nothing piles up on a connection that is kept', async (t) => {
  const { fastify } = await startTestServer(t, { models })
  const sockets: Socket[] = []
  fastify.server.on('connection', (socket) => sockets.push(socket))
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ask = async (times: number) => {
    for (let i = 0; i < times; i++) {
      await send(port, '/predict', body, {}, agent)
      await send(port, '/predict', 'x'.repeat(70_000), {}, agent)
      await send(port, '/metrics', undefined, {}, agent)
    }
    const [socket] = sockets
    return socket!.eventNames().map((name) => `${String(name)}: ${socket!.listenerCount(name)}`)
  }
  t.same(await ask(200), await ask(5))
  t.equal(sockets.length, 1)
  agent.destroy()
})
