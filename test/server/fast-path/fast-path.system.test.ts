import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { addFastPath, type FastPathOptions } from '../../../src/server/fast-path/fast-path.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { fc, randomCases } from '../../support/cases.ts'
import { dial, head, send } from '../../support/hostile-clients.ts'
import { listCandidates, listContext, listFeatures } from '../../support/list-features.ts'
import { startProcess } from '../../support/process.ts'
import { until } from '../../support/until.ts'

/*
 * Requests that come by the fast path and by Fastify are answered alike, byte for byte: two real processes, of which
 * one follows its requests, and so has no fast path.
 */

const models = await temporaryFolder(t)
await writeTestBundle(models)
await writeTestBundle(models, { name: 'lists', manifest: { features: listFeatures } })
const keys = join(await temporaryFolder(t), 'keys.json')
const sha256 = (key: string) => createHash('sha256').update(key).digest('hex')
const key = (id: string, more: object = {}) => ({ id, sha256: sha256(`key-${id}`), scopes: ['predict'], ...more })
writeFileSync(
  keys,
  JSON.stringify({
    keys: [key('any'), key('metrics', { scopes: ['metrics'] }), key('old', { expires: '2020-01-01T00:00:00Z' })],
  }),
  { mode: 0o600 },
)

const followed = { MULTIGATE_SLOW_REQUESTS: '1' }
const settings = {
  MULTIGATE_MODELS: models,
  // By the same costs, both compute a request by the same graphs, to the last bit.
  MULTIGATE_CACHE: await temporaryFolder(t),
  MULTIGATE_DEFAULT_MODEL: 'ads',
  MULTIGATE_MAX_LIST_VALUES: '100',
  MULTIGATE_MAX_BODY_BYTES: '20000',
  MULTIGATE_MAX_REQUEST_ROWS: '20',
  MULTIGATE_LOG_LEVEL: 'debug',
}
const fast = await startProcess(t, settings)
const slow = await startProcess(t, { ...settings, ...followed })

/** A response without what is different each time. */
async function respond(port: number, request: string | Buffer): Promise<string> {
  const client = dial(port, request)
  const parts = () =>
    client
      .text()
      .replace(/^HTTP\/1.1 100 .*\r\n\r\n/, '')
      .split('\r\n\r\n', 2)
  const whole = () => {
    const [start, rest] = parts()
    const length = /content-length: (\d+)/i.exec(start ?? '')?.[1]
    return rest !== undefined && length !== undefined && rest.length >= Number(length)
  }
  let closed = false
  client.closed.then(() => {
    closed = true
  })
  await until(() => closed || whole())
  client.socket.destroy()
  const [start = '', body] = parts()
  const [status, ...headers] = start.split('\r\n')
  const kept = headers.map((header) => header.toLowerCase()).filter((header) => !header.startsWith('date:'))
  // Ids of requests that bring none, and times that depend on the moment.
  const id = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g
  return [status, ...kept.sort(), '', body].join('\n').replaceAll(id, 'some-id')
}

const context = { country: 'DE', hour: 21 }
const candidates = [
  { campaign: 'c9', price: 1.25 },
  { campaign: 'c1', price: 3, id: 'é' },
]
const tensors = { sparse: [[1, 20, 40]], dense: [[1, 2]] }
const post = (body: unknown, ...headers: string[]) => {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return Buffer.concat([Buffer.from(head(`content-length: ${bytes.length}`, ...headers)), bytes])
}
const raw = (line: string, body: string, ...headers: string[]) =>
  [line, 'host: a', ...headers, `content-length: ${Buffer.byteLength(body)}`, '', body].join('\r\n')
const json = 'content-type: application/json'
const asked = JSON.stringify({ context, candidates })

const named = (path: string, body: string | Buffer, ...headers: string[]) =>
  Buffer.concat([
    Buffer.from(
      [`POST ${path} HTTP/1.1`, 'host: a', ...headers, `content-length: ${body.length}`, '', ''].join('\r\n'),
    ),
    Buffer.from(body),
  ])
const inputs = [
  { name: 'sparse', shape: [1, 3], datatype: 'INT32', data: tensors.sparse },
  { name: 'dense', shape: [1, 2], datatype: 'FP32', data: tensors.dense },
]
const infer = JSON.stringify({ id: 'mine', inputs })
const bytesOut = JSON.stringify({ inputs, parameters: { binary_data_output: true } })
const instances = JSON.stringify({ instances: [{ sparse: tensors.sparse[0], dense: tensors.dense[0] }] })

/** Requests of the protocols of other servers. */
const others: Record<string, string | Buffer> = {
  infer: named('/v2/models/ads/infer', infer, json),
  'infer a version': named('/v2/models/ads/versions/1/infer', infer, json),
  'infer bytes': named(
    '/v2/models/ads/infer',
    bytesOut,
    'content-type: application/octet-stream',
    `inference-header-content-length: ${bytesOut.length}`,
  ),
  'infer nothing': named('/v2/models/ads/infer', '{}', json),
  'infer with no JSON': named('/v2/models/ads/infer', '{', json),
  'infer by none': named('/v2/models/adz/infer', infer, json),
  'infer by a version that is none': named('/v2/models/ads/versions/7/infer', infer, json),
  'infer, compressed perhaps': named('/v2/models/ads/infer', infer, json, 'accept-encoding: gzip'),
  'infer by an encoded name': named('/v2/models/%61ds/infer', infer, json),
  'infer without a type': named('/v2/models/ads/infer', infer),
  'infer with an empty type': named('/v2/models/ads/infer', infer, 'content-type:'),
  'infer problems as such': named('/v2/models/ads/infer', '{}', json, 'accept: application/problem+json'),
  serving: named('/v1/models/ads:predict', instances, json),
  'serving a version': named('/v1/models/ads/versions/1:predict', instances, json),
  'serving a label that is none': named('/v1/models/ads/labels/stable:predict', instances, json),
  'serving by none': named('/v1/models/adz:predict', instances, json),
  'serving nothing': named('/v1/models/ads:predict', '{}', json),
  'serving another signature': named('/v1/models/ads:predict', `{"signature_name":"x",${instances.slice(1)}`, json),
  'serving a form': named('/v1/models/ads:predict', instances, 'content-type: application/x-www-form-urlencoded'),
  'serving to classify': named('/v1/models/ads:classify', instances, json),
}

const tags = { values: ['x', 'y', 'q', 'x'], offsets: [0, 1, 1, 4], weights: [1, 0.5, 2, 3] }
const listColumns = { campaign: ['a', 'b', 'c'], price: [1, 2, 3], tags }
const asked3 = { model: 'lists', context: listContext, candidates: listCandidates, options: { unknown: true } }
const listTensors = [
  { name: 'hour', shape: [1], datatype: 'INT64', data: [21] },
  { name: 'campaign', shape: [3], datatype: 'BYTES', data: listColumns.campaign },
  { name: 'price', shape: [3], datatype: 'FP32', data: listColumns.price },
  { name: 'tags', shape: [4], datatype: 'BYTES', data: tags.values },
  { name: 'tags.offsets', shape: [4], datatype: 'INT32', data: tags.offsets },
]
const inferLists = JSON.stringify({ inputs: listTensors })

/** Requests with lists, right and wrong. */
const lists: Record<string, string | Buffer> = {
  'lists as rows': post(asked3),
  'lists as columns': post({ ...asked3, candidates: listColumns }),
  'lists with a problem': post({ ...asked3, candidates: [{ ...listCandidates[0], tags: ['x', null] }] }),
  'lists of too many values': post({ ...asked3, context: { hour: 1, history: new Array(101).fill('a') } }),
  'offsets that run back': post({
    ...asked3,
    candidates: { ...listColumns, tags: { ...tags, offsets: [0, 3, 1, 4] } },
  }),
  'infer lists': named('/v2/models/lists/infer', inferLists, json),
  'infer lists with a problem': named('/v2/models/lists/infer', inferLists.replace('"q"', '7'), json),
  'serving lists': named(
    '/v1/models/lists:predict',
    JSON.stringify({ instances: listCandidates.map((row) => ({ ...listContext, ...row })) }),
    json,
  ),
}

const requests: Record<string, string | Buffer> = {
  rows: post({ context, candidates }),
  columns: post({ context, candidates: { campaign: ['c9'], price: [1] } }),
  tensors: post(tensors),
  'what else may be asked': post({
    context,
    candidates,
    tasks: ['ctr'],
    options: { raw: true, unknown: true, gates: true },
  }),
  'a ranking': post({ context, candidates, options: { rank: { by: 'ctr', top_k: 1 } } }),
  'an id of its own': post({ context, candidates }, 'x-request-id: mine'),
  'an id that is none': post({ context, candidates }, 'x-request-id: not mine'),
  'a trace': post({ context, candidates: [{}] }, `traceparent: 00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`),
  'no JSON': post('{"context":'),
  'bytes that are no text': Buffer.concat([Buffer.from(head('content-length: 2')), Buffer.from([0x22, 0xff])]),
  'no object': post('[]'),
  'no body': post(''),
  'nothing asked': post({}),
  'a field that is none': post({ context, candidates, option: {} }),
  'a value that is none': post({ context, candidates: [{ campaign: 'c9', price: 'x' }, { campaign: [] }] }),
  'some rows left out': post({ context, candidates: [...candidates, { price: 'x' }], options: { partial: true } }),
  'a model that is none': post({ model: 'adz', context, candidates }),
  'a version that is none': post({ version: '7', context, candidates }),
  'a reach into a prototype': post('{"__proto__":{}}'),
  'too many rows': post({ context, candidates: Array.from({ length: 21 }, () => candidates[0]) }),
  'too many bytes': post(`{"x":"${'x'.repeat(20_000)}"}`),
  'a deadline that is none': post({ context, candidates }, 'x-deadline-ms: soon'),
  'a deadline that has passed': post({ context, candidates, options: { deadline_ms: 0.000001 } }),
  'another type': raw('POST /predict HTTP/1.1', asked, 'content-type: text/plain'),
  'no type': raw('POST /predict HTTP/1.1', asked),
  'another charset': raw('POST /predict HTTP/1.1', asked, `${json}; charset=utf-16`),
  'a type in capitals': raw('POST /predict HTTP/1.1', asked, 'content-type: APPLICATION/JSON'),
  'a charset': raw('POST /predict HTTP/1.1', asked, `${json}; charset=utf-8`),
  'two hosts': raw('POST /predict HTTP/1.1', asked, json, 'host: b'),
  'HTTP/1.0': raw('POST /predict HTTP/1.0', asked, json),
  'a connection to be closed': raw('POST /predict HTTP/1.1', asked, json, 'connection: close'),
  'an upgrade': raw('POST /predict HTTP/1.1', asked, json, 'connection: upgrade', 'upgrade: h2c'),
  'an expectation': raw('POST /predict HTTP/1.1', asked, json, 'expect: 100-continue'),
  'an odd expectation': raw('POST /predict HTTP/1.1', asked, json, 'expect: much'),
  'an origin': raw('POST /predict HTTP/1.1', asked, json, 'origin: https://example.com'),
  'errors as JSON': raw('POST /predict HTTP/1.1', '{}', json, 'accept: application/json'),
  'a query': raw('POST /predict?x=1 HTTP/1.1', asked, json),
  'a slash': raw('POST /predict/ HTTP/1.1', asked, json),
  'another method': raw('PUT /predict HTTP/1.1', asked, json),
  chunks: `${head('transfer-encoding: chunked')}${asked.length.toString(16)}\r\n${asked}\r\n0\r\n\r\n`,
  compressed: Buffer.concat([
    Buffer.from(head('content-encoding: gzip', `content-length: ${gzipSync(asked).length}`)),
    gzipSync(asked),
  ]),
}

const bodyOf = (response: string) => response.slice(response.indexOf('\n\n') + 2)

t.test('responses are the same by either way', async (t) => {
  for (const [name, request] of Object.entries({ ...requests, ...others, ...lists })) {
    const [one, other] = [await respond(fast.port, request), await respond(slow.port, request)]
    t.equal(one, other, name)
    t.match(one, /^HTTP\/1.1 \d{3}/, name)
  }
})

t.test('and so are those to bodies that chance has damaged', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(
        ['/predict', asked] as const,
        ['/predict', JSON.stringify(tensors)] as const,
        ['/predict', JSON.stringify({ context, candidates: { campaign: ['c9'] } })] as const,
        ['/v2/models/ads/infer', infer] as const,
        ['/predict', JSON.stringify(asked3)] as const,
        ['/v2/models/lists/infer', inferLists] as const,
        ['/v1/models/ads:predict', instances] as const,
      ),
      fc.array(fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }) }), { minLength: 1, maxLength: 3 }),
      async ([path, body], damage) => {
        const bytes = Buffer.from(body)
        for (const { at, byte } of damage) bytes[at % bytes.length] = byte
        const request = named(path, bytes, json)
        const [one, other] = [await respond(fast.port, request), await respond(slow.port, request)]
        if (one !== other) throw new Error(`${one}\nis not\n${other}`)
      },
    ),
    { numRuns: randomCases(60) },
  )
})

t.test('keys open by either way, and are refused alike', async (t) => {
  const guarded = { ...settings, MULTIGATE_KEYS: keys }
  const [one, other] = await Promise.all([startProcess(t, guarded), startProcess(t, { ...guarded, ...followed })])
  const presented = ['', 'x-api-key: key-any', 'authorization: Bearer key-any', 'authorization: Bearer key-nobody']
  for (const header of [...presented, 'x-api-key: key-old', 'x-api-key: key-metrics']) {
    const request = post({ context, candidates }, ...(header ? [header] : []))
    t.equal(await respond(one.port, request), await respond(other.port, request), header || 'none')
  }
  const twice = post({ context, candidates }, 'authorization: Bearer key-any', 'authorization: Bearer key-old')
  t.equal(await respond(one.port, twice), await respond(other.port, twice), 'two')
})

t.test('requests that are pipelined are answered in their order', async (t) => {
  const ids = Array.from({ length: 30 }, (_, i) => `id-${i}`)
  const client = dial(fast.port, ...ids.map((id) => post({ context, candidates }, `x-request-id: ${id}`)))
  await until(() => client.text().split('HTTP/1.1 200').length === ids.length + 1)
  client.socket.destroy()
  t.same(client.text().match(/(?<=x-request-id: )\S+/g), ids)
})

t.test('a client that leaves before its body has come is counted, and harms nobody', async (t) => {
  const count = async () =>
    Number(/outcome="cancelled"\} (\d+)/.exec((await send(fast.port, '/metrics')).text)?.[1] ?? 0)
  const before = await count()
  for (let i = 0; i < 5; i++) dial(fast.port, head('content-length: 1000'), '{').socket.end()
  await until(async () => (await count()) === before + 5)
  t.equal((await send(fast.port, '/predict', asked)).status, 200)
})

t.test('what is unforeseen is logged under the id of its request', async (t) => {
  await respond(
    fast.port,
    post(
      { candidates: [{ price: 'x' }] },
      'x-request-id: wrong',
      `traceparent: 00-${'c'.repeat(32)}-${'b'.repeat(16)}-01`,
    ),
  )
  await until(() => fast.lines().some((line) => line.request_id === 'wrong'))
  t.match(
    fast.lines().find((line) => line.request_id === 'wrong'),
    { code: 'INVALID_REQUEST', trace_id: 'c'.repeat(32) },
  )
})

t.test('while the server drains, it asks its clients to close', async (t) => {
  const draining = await startProcess(t, { ...settings, MULTIGATE_DRAIN_DELAY_MS: '2000' })
  draining.child.kill('SIGTERM')
  await until(() => draining.stdout().includes('not ready from now on'))
  const response = await respond(draining.port, post({ context, candidates }))
  t.match(response, /^HTTP\/1.1 200/)
  t.match(response, /^connection: close$/m)
})

t.test('only ordinary requests come this way', async (t) => {
  const taken: string[] = []
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(202, { 'content-length': 0 }).end()
  })
  const context = {
    clock: { now: () => 0, soon: (callback: () => void) => setImmediate(callback) },
    drain: { draining: false },
    metrics: { shed: () => undefined, ended: () => undefined },
    answers: { open: () => ({ add: () => undefined, close: () => undefined }) },
    admission: {
      enter() {
        taken.push(name)
        return { admitted: false, message: 'full', retryAfterSeconds: 1 }
      },
    },
    deadlineMs: 1000,
  }
  addFastPath(server, { context, log: undefined, maxBodyBytes: 20_000 } as unknown as FastPathOptions)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  let name = ''
  for (const request of Object.entries({ ...requests, ...others })) {
    name = request[0]
    const status = Number((await respond(port, request[1])).slice(9, 12))
    t.ok([202, 429, 417].includes(status), `${name}: ${status}`)
  }
  const odd = Object.keys(requests).slice(Object.keys(requests).indexOf('another type'))
  t.same(
    taken.filter((name) => odd.includes(name)),
    ['a charset', 'HTTP/1.0', 'a connection to be closed', 'errors as JSON'],
  )
  const left = Object.keys(others).filter((name) => !taken.includes(name))
  t.same(left, [
    'infer, compressed perhaps',
    'infer by an encoded name',
    'infer with an empty type',
    'serving a form',
    'serving to classify',
  ])

  const quoted = `x-request-id: "mine\\`
  const problem = await respond(port, post({ context, candidates }, quoted))
  t.match(JSON.parse(bodyOf(problem)), { status: 429, code: 'QUEUE_FULL', detail: 'full', request_id: '"mine\\' })
  t.match(problem, /^retry-after: 1$/m)
  t.same(JSON.parse(bodyOf(await respond(port, named('/v2/models/ads/infer', infer, json, quoted)))), { error: 'full' })
  t.ok(taken.includes('rows') && taken.includes('no JSON'))
  t.notOk(taken.includes('too many bytes'))
})
