import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import t, { type Test } from 'tap'
import { systemClock } from '../../../src/base/clock.ts'
import { createEnginePool } from '../../../src/model/engines/pool/pool.ts'
import { createRequestRecorder, type RequestRecorder } from '../../../src/server/request/request-recorder.ts'
import { createRequestTimeline } from '../../../src/server/request/request-timeline.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { createFakeAdmission } from '../../support/fakes/admission.ts'
import { createHeldPool } from '../../support/held-pool.ts'
import { startTestServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const one = { context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] }
const traceId = '0af7651916cd43dd8448eb211c80319c'

async function start(t: Test, { sample = 1, recorder }: { sample?: number; recorder?: RequestRecorder } = {}) {
  const lines: Record<string, any>[] = []
  const inner = await createEnginePool({ engine: 'onnx', workers: 1 })
  t.teardown(() => inner.close())
  const held = createHeldPool(inner)
  const admission = createFakeAdmission(systemClock.now)
  admission.refuses = (deadlineMs) => deadlineMs === 7
  const server = await startTestServer(t, {
    models,
    admission,
    limits: { pool: held.pool },
    timeline: createRequestTimeline({ sample, recorder, now: systemClock.now }),
    logger: { level: 'info', stream: { write: (line: string) => lines.push(JSON.parse(line)) } },
  })
  return { ...server, lines, held }
}

t.test('a prediction has one line, with its model and the time of each stage', async (t) => {
  const { predict, lines } = await start(t)
  const { body } = await predict(one, { 'x-request-id': 'r-1', traceparent: `00-${traceId}-b7ad6b7169203331-01` })
  t.equal(body.request_id, 'r-1')
  await until(() => lines.length > 0)
  t.match(lines, [
    {
      msg: 'request',
      method: 'POST',
      url: '/predict',
      status: 200,
      model: 'ads',
      version: '1',
      rows: 1,
      tasks: Object.keys(body.predictions[0].probabilities ?? body.predictions[0]).filter((name) => name !== 'id'),
      request_id: 'r-1',
      trace_id: traceId,
    },
  ])
  const { receive_ms, read_ms, queue_ms, compute_ms, write_ms, total_ms } = lines[0]!
  t.ok(receive_ms > 0 && receive_ms <= read_ms, 'a part of it')
  const stages = [read_ms, queue_ms, compute_ms, write_ms]
  t.ok(stages.every((ms) => ms >= 0))
  t.ok(Math.abs(stages.reduce((sum, ms) => sum + ms, 0) - total_ms) < 0.01 + total_ms / 100, 'they add up')
})

t.test('every protocol is logged, and what is refused too', async (t) => {
  const { fastify, predict, lines } = await start(t)
  await predict(one, { 'x-deadline-ms': '7' })
  await predict('{ no JSON')
  await predict({ ...one, candidates: [{ campaign: 1, price: 'much' }] })
  await predict({ ...one, model: 'shop' })
  const instances = [{ country: 'DE', hour: 21, campaign: 'c9', price: 1.25 }]
  await fastify.inject({ method: 'POST', url: '/v1/models/ads:predict', payload: { instances } })
  await fastify.inject({ method: 'POST', url: '/v2/models/ads/infer', payload: { inputs: [] } })
  await fastify.inject('/models')
  await fastify.inject('/nothing?here')
  await fastify.inject('/%zz')
  await until(() => lines.length === 9)
  t.strictSame(
    lines.map(({ status, model, rows, url }) => [url, status, model, rows]),
    [
      ['/predict', 429, undefined, undefined],
      ['/predict', 400, undefined, undefined],
      ['/predict', 400, 'ads', undefined],
      ['/predict', 404, undefined, undefined],
      ['/v1/models/ads:predict', 200, 'ads', 1],
      ['/v2/models/ads/infer', 400, undefined, undefined],
      ['/models', 200, undefined, undefined],
      ['/nothing', 404, undefined, undefined],
      ['/%zz', 400, undefined, undefined],
    ],
  )
  t.ok(lines.every(({ read_ms, total_ms }) => read_ms >= 0 && total_ms >= read_ms))
})

t.test('predictions alone are recorded, however many other requests fail', async (t) => {
  const recorder = createRequestRecorder({ slow: 20, recent: 20, bodies: false, now: systemClock.now })
  const { fastify, predict, lines } = await start(t, { recorder })
  const others = [
    '/favicon.ico',
    '/models',
    '/models/shop',
    '/models/ads/versions/9/distributions',
    '/console/x',
    '/%zz',
  ]
  for (const url of others) await fastify.inject(url)
  await fastify.inject({ method: 'POST', url: '/predcit', payload: one })
  await fastify.inject('/predict')
  await predict({ ...one, model: 'shop' })
  await predict(one, { 'x-deadline-ms': '7' })
  await fastify.inject({ method: 'POST', url: '/v2/models/shop/infer', payload: { inputs: [] } })
  await predict(one)
  await until(() => lines.length === 12)
  const { slow, failed, recent } = recorder.list()
  t.same(failed.map(({ url, status }) => `${status} ${url}`).sort(), [
    '400 /v2/models/shop/infer',
    '404 /predict',
    '429 /predict',
  ])
  t.same([slow.length, recent.length], [4, 4])
})

t.test('probes, scrapes and the documentation are left out', async (t) => {
  const { fastify, lines } = await start(t)
  for (const url of [
    '/livez',
    '/readyz/',
    '/metrics',
    '/docs',
    '/docs/json',
    '/v2/health/live',
    '/v2/health/ready',
    '/',
  ])
    await fastify.inject(url)
  await fastify.inject('/v2')
  await until(() => lines.length > 0)
  t.same(
    lines.map(({ url }) => url),
    ['/v2'],
  )
})

t.test('a client that leaves before its answer is 499', async (t) => {
  const { fastify, lines, held } = await start(t)
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  held.hold()
  const payload = JSON.stringify(one)
  const socket = connect((fastify.server.address() as AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(
    `POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${payload.length}\r\n\r\n${payload}`,
  )
  await held.holding(1)
  socket.destroy()
  await until(() => lines.some(({ msg }) => msg === 'request'))
  held.release()
  t.match(
    lines.filter(({ msg }) => msg === 'request'),
    [{ status: 499, model: 'ads', rows: 1, read_ms: Number, queue_ms: Number, compute_ms: Number }],
  )
  t.notOk('write_ms' in lines.find(({ msg }) => msg === 'request')!)
})

t.test('a sample is chosen by the id of the request; server errors are always logged', async (t) => {
  const { predict, lines, held, registry } = await start(t, { sample: 0.3 })
  const ids = Array.from({ length: 200 }, (_, i) => `request-${i}`)
  for (const id of ids) await predict(one, { 'x-request-id': id })
  const first = lines.map(({ request_id }) => request_id)
  t.ok(first.length > 30 && first.length < 90, String(first.length))
  for (const id of ids) await predict(one, { 'x-request-id': id })
  t.same(
    lines.slice(first.length).map(({ request_id }) => request_id),
    first,
    'the same in every process',
  )
  const unlogged = ids.filter((id) => !first.includes(id))
  held.hold()
  lines.length = 0
  const late = await predict(one, { 'x-request-id': unlogged[0]!, 'x-deadline-ms': '1' })
  held.release()
  t.equal(late.status, 504)
  await until(() => lines.length > 0)
  t.match(lines, [{ status: 504, request_id: unlogged[0] }])
  t.equal(registry.live().length, 1)
})

t.test('where requests are not logged, no hook follows them', async (t) => {
  const lines: string[] = []
  const { predict } = await startTestServer(t, {
    models,
    logger: { level: 'info', stream: { write: (line: string) => lines.push(line) } },
  })
  t.equal((await predict(one)).status, 200)
  t.same(lines, [])
})
