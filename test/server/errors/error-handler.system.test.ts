import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { Compile } from 'typebox/compile'
import { createEnginePool } from '../../../src/model/engines/pool/pool.ts'
import { ProblemDetails } from '../../../src/schemas/problem.ts'
import { problemTable } from '../../../src/server/errors/problem-details.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { createHeldPool } from '../../support/held-pool.ts'
import { leaveQueue } from '../../support/leave-queue.ts'
import { createReceived } from '../../support/received.ts'
import { startTestServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const inner = await createEnginePool({ engine: 'onnx', workers: 1 })
t.teardown(() => inner.close())
const held = createHeldPool(inner)
const logged: Record<string, any>[] = []
const server = await startTestServer(t, {
  models,
  limits: { pool: held.pool, maxQueueRows: 4 },
  logger: { level: 'info', stream: { write: (line: string) => logged.push(JSON.parse(line)) } },
})
const { fastify, metrics, predict, registry } = server
const one = { context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] }
const problemCheck = Compile(ProblemDetails)

/** Checks what holds for every error. */
function isProblem(t: Test, answer: { status: number; headers: Record<string, unknown>; body: any }, code: string) {
  const { status, headers, body } = answer
  t.ok(problemCheck.Check(body), `${code}: as its schema says`)
  t.equal(headers['content-type'], 'application/problem+json', code)
  t.equal(body.code, code)
  t.equal(status, problemTable[body.code as keyof typeof problemTable]?.status, code)
  t.equal(body.status, status, code)
  t.equal(body.title, problemTable[body.code as keyof typeof problemTable]?.title)
  t.equal(headers['x-request-id'], body.request_id, `${code}: request id`)
}

/** Checks what holds for every error of the Open Inference Protocol, and of TensorFlow Serving. */
function isInferError(
  t: Test,
  answer: { status: number; headers: Record<string, unknown>; body: any },
  status: number,
) {
  const { headers, body } = answer
  t.equal(answer.status, status)
  t.equal(headers['content-type'], 'application/json')
  t.same(Object.keys(body), ['error'])
  t.match(body.error, /./)
  t.ok(headers['x-request-id'])
}

async function ask(method: string, url: string) {
  const answer = await fastify.inject({ method: method as 'GET', url })
  return { status: answer.statusCode, headers: answer.headers, body: answer.json() }
}

t.test('an unknown path is 404, whatever the method', async (t) => {
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
    isProblem(t, await ask(method, '/nothing/here?x=1'), 'NOT_FOUND')
  const { body } = await ask('GET', '/nothing?secret=1')
  t.match(body.detail, /\/nothing;/)
  t.notMatch(body.detail, /secret/)
  for (const url of ['/predictx', '/x/predict', '/models/ads/more', '/livez/x'])
    isProblem(t, await ask('GET', url), 'NOT_FOUND')
})

t.test('a known path with another method is 405, and says which it takes', async (t) => {
  const document = (await fastify.inject('/docs/json')).json() as { paths: Record<string, object> }
  const paths = Object.entries(document.paths)
  t.ok(paths.length >= 6)
  for (const [path, operations] of paths) {
    const takes = Object.keys(operations).map((method) => method.toUpperCase())
    const allow = takes.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).sort()
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'].filter((name) => !takes.includes(name))) {
      for (const url of [path, `${path}/`, `${path}?q=1`]) {
        const answer = await ask(method, url.replace(/\{[^}]+\}/g, 'ads'))
        if (/^\/v[12]/.test(path)) isInferError(t, answer, 405)
        else isProblem(t, answer, 'METHOD_NOT_ALLOWED')
        t.equal(answer.headers.allow, allow.join(', '), `${method} ${url}`)
      }
    }
  }
  const { headers, body } = await ask('GET', '/predict')
  t.equal(headers.allow, 'POST')
  t.match(body.detail, /GET.*POST/)
})

t.test('what nothing answers is refused whatever its body', async (t) => {
  for (const [method, url, code] of [
    ['POST', '/nothing', 'NOT_FOUND'],
    ['POST', '/livez', 'METHOD_NOT_ALLOWED'],
    ['GET', '/docs/static/nothing.js', 'NOT_FOUND'],
    ['GET', '/docs/static/..%2f..%2fpackage.json', 'NOT_FOUND'],
  ] as const) {
    const headers = { 'content-type': 'application/json' }
    const payload = method === 'POST' ? { payload: '{ not JSON', headers } : {}
    const answer = await fastify.inject({ method, url, ...payload })
    isProblem(t, { status: answer.statusCode, headers: answer.headers, body: answer.json() }, code)
  }
})

/** All that the server answers to these bytes until it closes the connection. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  return text(socket)
}

t.test('what is no HTTP is answered by a problem too, and the connection closed', async (t) => {
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  for (const [bytes, detail] of [
    ['POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: abc\r\n\r\n', /not HTTP/],
    [`GET /livez HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`, /larger headers/],
    ['nonsense\r\n\r\n', /not HTTP/],
  ] as const) {
    const [head, body] = (await exchange(port, bytes)).split('\r\n\r\n') as [string, string]
    const [status, ...lines] = head.split('\r\n')
    const headers = Object.fromEntries(lines.map((line) => line.split(': ')))
    isProblem(t, { status: Number(status?.split(' ')[1]), headers, body: JSON.parse(body) }, 'INVALID_REQUEST')
    t.match(JSON.parse(body).detail, detail)
  }
})

t.test('an upload that its client gives up is counted as cancelled', async () => {
  const { port } = fastify.server.address() as AddressInfo
  const received = createReceived(fastify.server)
  const socket = connect(port, '127.0.0.1')
  const head = 'POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{'
  await new Promise((resolve) => socket.write(head, resolve))
  await received(socket)
  socket.destroy()
  const line = 'multigate_requests_total{model="",version="",outcome="cancelled"} 1'
  await until(async () => (await metrics.registry.metrics()).includes(line))
})

t.test('a path that can not be decoded is 400', async (t) => {
  for (const url of ['/%zz', '/models/%zz', '/models/%ff', '/predict%'])
    isProblem(t, await ask('GET', url), 'INVALID_REQUEST')
})

t.test('below /v2 an error is what clients of that protocol read', async (t) => {
  for (const url of ['/v2/nothing', '/v2/', '/v2?x=1', '/v2/models', '/v2/models/ads/infer/more'])
    isInferError(t, await ask('PUT', url), /nothing|models/.test(url) ? 404 : 405)
  isInferError(t, await ask('GET', '/v2/models/%zz'), 400)
  isProblem(t, await ask('GET', '/v2x'), 'NOT_FOUND')
  isProblem(t, await ask('GET', '/v20/models'), 'NOT_FOUND')
  for (const url of [
    '/v1',
    '/v1/',
    '/v1/nothing',
    '/v1/models/ads/more',
    '/v1/models/ads:predict/more',
    '/v1/models/a:b',
  ])
    isInferError(t, await ask('PUT', url), 404)
  isInferError(t, await ask('GET', '/v1/models/%zz'), 400)
  isProblem(t, await ask('GET', '/v10/models'), 'NOT_FOUND')
})

t.test('names are decoded, and no name reaches into an object', async (t) => {
  for (const name of ['__proto__', 'constructor', 'toString', '%2e%2e%2fads', '..%2f', 'ads%00', 'x'.repeat(128)])
    isProblem(t, await ask('GET', `/models/${name}`), 'MODEL_NOT_FOUND')
  // Longer than any model's name.
  isProblem(t, await ask('GET', `/models/${'x'.repeat(5000)}`), 'INVALID_REQUEST')
  t.equal((await ask('GET', '/models/%61ds')).body.name, 'ads')
})

t.test('what is unforeseen tells nothing of the inside, but is logged with its request id', async (t) => {
  const { acquire } = registry
  t.teardown(() => {
    registry.acquire = acquire
  })
  registry.acquire = () => {
    throw new TypeError('secret at /srv/inside.ts')
  }
  logged.length = 0
  const answer = await predict(one, { 'x-request-id': 'unforeseen-1' })
  isProblem(t, answer, 'INTERNAL')
  t.notMatch(JSON.stringify(answer.body), /secret|inside|TypeError/)
  const [line] = logged
  t.equal(logged.length, 1)
  t.match(line, { level: 50, request_id: 'unforeseen-1', code: 'INTERNAL' })
  t.match(line?.err, { type: 'TypeError', message: /secret/, stack: /error-handler\.system\.test/ })

  registry.acquire = () => {
    throw 'only text'
  }
  isProblem(t, await predict(one), 'INTERNAL')
  registry.acquire = () => {
    throw null
  }
  isProblem(t, await predict(one), 'INTERNAL')
})

t.test('clients’ own errors are not logged as errors', async (t) => {
  logged.length = 0
  await predict({})
  await ask('GET', '/nothing')
  await ask('GET', '/predict')
  t.same(
    logged.filter(({ level }) => level >= 50),
    [],
  )
})

t.test('an engine that throws is MODEL_FAILED, and the next request is answered', async (t) => {
  held.fail(new Error('out of memory'))
  t.teardown(() => held.fail(undefined))
  logged.length = 0
  isProblem(t, await predict(one), 'MODEL_FAILED')
  t.match(logged, [{ level: 50, code: 'MODEL_FAILED' }])
  held.fail(undefined)
  t.equal((await predict(one)).status, 200)
})

t.test('a full queue is 429 with Retry-After; what was accepted is answered', async (t) => {
  held.hold()
  const running = predict(one)
  await held.holding(1)
  const waiting = Array.from({ length: 4 }, () => predict(one))
  const { model, release } = registry.acquire('ads')
  release()
  await until(() => model.stats().queuedRows >= 4)
  const refused = await predict(one)
  isProblem(t, refused, 'QUEUE_FULL')
  t.match(refused.headers['retry-after'], /^[1-9][0-9]*$/)
  const inputs = [
    { name: 'hour', shape: [1], datatype: 'INT32', data: [21] },
    { name: 'campaign', shape: [1], datatype: 'BYTES', data: ['c9'] },
    { name: 'price', shape: [1], datatype: 'FP32', data: [1.25] },
  ]
  const other = await fastify.inject({ method: 'POST', url: '/v2/models/ads/infer', payload: { inputs } })
  isInferError(t, { status: other.statusCode, headers: other.headers, body: other.json() }, 429)
  t.match(other.headers['retry-after'], /^[1-9][0-9]*$/)
  const metrics = (await fastify.inject('/metrics')).body
  t.match(metrics, /multigate_queue_rows\{model="ads",version="1"\} 4/)
  t.match(metrics, /multigate_in_flight_batches\{model="ads",version="1"\} 1/)
  t.match(metrics, /multigate_shed_total\{model="ads",version="1",reason="queue_full"\} 2/)
  t.match(metrics, /multigate_requests_total\{model="ads",version="1",outcome="queue_full"\} 2/)
  held.release()
  for (const { status } of await Promise.all([running, ...waiting])) t.equal(status, 200)
  t.notOk('retry-after' in (await predict({})).headers)
})

t.test('a request too late while it is computed says so', async (t) => {
  held.hold()
  const late = predict({ ...one, options: { deadline_ms: 20 } })
  await held.holding(1)
  const answer = await late
  held.release()
  isProblem(t, answer, 'DEADLINE_EXCEEDED')
  t.equal(answer.body.stage, 'compute')
})

t.test('a client that goes away is counted, never computed, and no error', async (t) => {
  await fastify.ready()
  if (!fastify.server.listening) await fastify.listen({ host: '127.0.0.1', port: 0 })
  logged.length = 0
  held.hold()
  const running = predict(one)
  await held.holding(1)
  const body = JSON.stringify(one)
  const request = `POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  await leaveQueue({ fastify, registry }, [request], 1)
  held.release()
  t.equal((await running).status, 200)
  const counts = await metrics.registry.metrics()
  t.match(counts, /multigate_cancelled_total\{model="ads",version="1",stage="queue"\} 1/)
  t.match(counts, /multigate_requests_total\{model="ads",version="1",outcome="cancelled"\} 1/)
  t.same(
    logged.filter(({ level }) => level >= 50),
    [],
  )
})
