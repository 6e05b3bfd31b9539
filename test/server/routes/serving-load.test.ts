import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import t from 'tap'
import { systemClock } from '../../../src/model/batching/clock.ts'
import { createEnginePool } from '../../../src/model/engines/pool.ts'
import { createFakeAdmission } from '../../fakes/admission.ts'
import { temporaryFolder, writeTestBundle } from '../../fixtures/bundle.ts'
import { startTestServer } from '../../fixtures/server.ts'
import { until } from '../../fixtures/until.ts'
import { createHeldPool } from '../held-pool.ts'
import { errorOf } from '../infer-body.ts'
import { instances, serving } from '../serving-body.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const inner = await createEnginePool({ engine: 'onnx', workers: 1 })
t.teardown(() => inner.close())
const held = createHeldPool(inner)
const admission = createFakeAdmission(systemClock.now)
admission.refuses = (deadlineMs) => deadlineMs === 7
const server = await startTestServer(t, { models, limits: { pool: held.pool, maxQueueRows: 4 }, admission })
const { fastify, metrics, registry } = server
const ask = (headers = {}, body: unknown = { instances }) => serving(fastify, 'ads:predict', body, headers)

t.test('the deadline is that of the header', async (t) => {
  t.equal((await ask({ 'x-deadline-ms': '5000' })).status, 200)
  held.hold()
  const late = ask({ 'x-deadline-ms': '20' })
  t.match(errorOf(t, await late, 504), /deadline/)
  held.release()
  t.match(errorOf(t, await ask({ 'x-deadline-ms': 'soon' }), 400), /x-deadline-ms/)
})

t.test('what can not be answered in time is refused before its body is read', async (t) => {
  const answer = await ask({ 'x-deadline-ms': '7' }, '{ no JSON')
  t.equal(errorOf(t, answer, 429), 'too much is under way')
  t.equal(answer.headers['retry-after'], '3')
})

t.test('a full queue is 429; what was accepted is answered', async (t) => {
  held.hold()
  const running = ask()
  await held.holding(1)
  const waiting = [ask(), ask()]
  const { model, release } = registry.acquire('ads')
  await until(() => model.stats().queuedRows === 4)
  release()
  const refused = await ask()
  errorOf(t, refused, 429)
  t.match(refused.headers['retry-after'], /^[1-9]/)
  held.release()
  for (const { status } of await Promise.all([running, ...waiting])) t.equal(status, 200)
})

t.test('an engine that throws is 500', async (t) => {
  held.fail(new Error('out of memory'))
  t.teardown(() => held.fail(undefined))
  errorOf(t, await ask(), 500)
})

t.test('a client that goes away is counted, and never computed', async (t) => {
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  held.hold()
  const running = ask()
  await held.holding(1)
  const payload = JSON.stringify({ instances })
  const client = connect(port, '127.0.0.1')
  // As curl sends it.
  client.write(
    `POST /v1/models/ads:predict HTTP/1.1\r\nhost: x\r\ncontent-length: ${payload.length}\r\n` +
      `content-type: application/x-www-form-urlencoded\r\n\r\n${payload}`,
  )
  const { model, release } = registry.acquire('ads')
  release()
  await until(() => model.stats().queuedRows === 2)
  client.destroy()
  await until(() => model.stats().queuedRows === 0)
  held.release()
  t.equal((await running).status, 200)
  t.match(await metrics.registry.metrics(), /requests_total\{model="ads",version="1",outcome="cancelled"\} 1/)
})

t.test('a version that is asked is not closed before it has answered', async (t) => {
  held.hold()
  const running = ask()
  await held.holding(1)
  let closed = false
  const closing = registry.close().then(() => {
    closed = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  t.notOk(closed)
  t.match(errorOf(t, await ask(), 503), /shutting down/)
  held.release()
  t.equal((await running).status, 200)
  await closing
})
