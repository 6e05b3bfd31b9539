import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createLargeBodyReader } from '../../../src/server/body/large-body-reader.ts'
import { smallBody } from '../../../src/server/body/read-json.ts'
import { createMemoryBudget } from '../../../src/server/overload/pending-bytes.ts'
import { predictFormat } from '../../../src/server/protocols/predict/predict-format.ts'
import { readerScript } from '../../../src/server/protocols/reader-script.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { emitErrorFirst } from '../../support/error-first.ts'
import { listCandidates, listContext, listFeatures } from '../../support/list-features.ts'
import { startTestServer } from '../../support/server.ts'

const shipped = fileURLToPath(new URL('../../../../models/ads-funnel', import.meta.url))
const models = await temporaryFolder(t)
await cp(shipped, join(models, 'ads-funnel'), { recursive: true })

/* A body that is padded beyond what is read in the event loop gets the same answer as without its padding. */

const json = { 'content-type': 'application/json' }
const padding = ' '.repeat(smallBody)
const padded = (body: unknown) => JSON.stringify(body).replace(/^\{/, `{${padding}`)

const context = { country: 'DE', hour: 21, segment: 's17' }
const rows = [
  { id: 'a', campaign: 'c9', price: 1.25, bid: 2 },
  { id: 'b', campaign: 'c4', price: 0.4, bid: 1 },
]
const columns = { id: ['a', 'b'], campaign: ['c9', 'c4'], price: [1.25, 0.4] }
const sparse = [
  [8, 47, 60, 96, 97, 105, 4491, 4563, 4577, 4582],
  [8, 47, 60, 96, 97, 105, 4436, 4563, 4577, 4582],
]

const server = await startTestServer(t, {
  models,
  maxBodyBytes: 4_000_000,
  registry: { unloaded: [], defaultModel: 'ads-funnel' },
})

async function ask(url: string, payload: string, headers: Record<string, string> = {}) {
  const answer = await server.fastify.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': 'application/json', ...headers },
  })
  const body = answer.json()
  delete body.request_id
  return { status: answer.statusCode, body }
}

for (const [name, url, body] of [
  ['rows', '/predict', { context, candidates: rows }],
  ['columns', '/predict', { context, candidates: columns }],
  [
    'tasks and options',
    '/predict',
    { context, candidates: rows, tasks: ['cvr'], options: { raw: true, rank: { by: 'ecpm', top_k: 1 } } },
  ],
  ['a bad row left out', '/predict', { context, candidates: [...rows, { campaign: 7 }], options: { partial: true } }],
  ['bad rows', '/predict', { context, candidates: [...rows, { campaign: 7, prize: 1 }] }],
  ['an unknown model', '/predict', { model: 'none', context, candidates: rows }],
  ['no such option', '/predict', { context, candidates: rows, options: { rang: 1 } }],
  [
    'instances',
    '/v1/models/ads-funnel:predict',
    { instances: rows.map(({ id: _, bid: __, ...row }) => ({ ...context, ...row })) },
  ],
  ['bad instances', '/v1/models/ads-funnel:predict', { instances: [{ ...context, campaign: 1 }] }],
  ['an unknown signature', '/v1/models/ads-funnel:predict', { signature_name: 'none', instances: rows }],
  [
    'features by name',
    '/v2/models/ads-funnel/infer',
    {
      id: 'q',
      inputs: [
        ...Object.entries(context).map(([name, value]) => ({
          name,
          shape: [1],
          datatype: typeof value === 'string' ? 'BYTES' : 'INT64',
          data: [value],
        })),
        { name: 'campaign', shape: [2], datatype: 'BYTES', data: ['c9', 'c4'] },
        { name: 'price', shape: [2], datatype: 'FP32', data: [1.25, 0.4] },
      ],
      outputs: [{ name: 'ctcvr' }],
    },
  ],
  [
    'a bad tensor',
    '/v2/models/ads-funnel/infer',
    { inputs: [{ name: 'campaign', shape: [1], datatype: 'BYTES', data: [7] }] },
  ],
] as const) {
  t.test(`a large body gets the answer of a small one: ${name}`, async (t) => {
    const small = await ask(url, JSON.stringify(body))
    t.match(small.status, /^[24]/)
    t.same(await ask(url, padded(body)), small)
  })
}

t.test('tensors of a large body', async (t) => {
  const dense = [
    [1.25, 21],
    [0.4, 21],
  ]
  const small = await ask('/predict', JSON.stringify({ sparse, dense }))
  t.same(await ask('/predict', padded({ sparse, dense })), small)
})

t.test('unknown values of a large body count', async (t) => {
  const body = { context: { ...context, segment: 'never seen' }, candidates: rows }
  const count = async () => {
    const { body } = await server.fastify.inject('/metrics')
    return /^multigate_unknown_values_total\{.*model="ads-funnel".*feature="segment"\} (\d+)/m.exec(body)?.[1]
  }
  await ask('/predict', JSON.stringify(body))
  const once = Number(await count())
  await ask('/predict', padded(body))
  t.equal(Number(await count()), 2 * once)
})

t.test('lists of a large body', async (t) => {
  const folder = await temporaryFolder(t)
  await writeTestBundle(folder, { manifest: { features: listFeatures } })
  const limits = { maxListValues: 100 }
  const { fastify, metrics } = await startTestServer(t, { models: folder, maxBodyBytes: 4_000_000, limits })
  const counts = async () => (await metrics.registry.metrics()).match(/^multigate_(?:cut|unknown)_values_total.*$/gm)
  const post = async (url: string, payload: string | Buffer, headers = {}) => {
    const answer = await fastify.inject({ method: 'POST', url, payload, headers: { ...json, ...headers } })
    const { request_id: _, ...body } = answer.json()
    return { status: answer.statusCode, body }
  }
  const tags = { values: ['x', 'y', 'q', 'x'], offsets: [0, 1, 1, 4] }
  const columns = { campaign: ['a', 'b', 'c'], price: [1, 2, 3], tags }
  const asked = { context: listContext, candidates: listCandidates, options: { unknown: true } }
  const tensor = (name: string, datatype: string, shape: number[], data: unknown[]) => ({ name, datatype, shape, data })
  const inputs = [
    tensor('hour', 'INT64', [1], [21]),
    tensor('campaign', 'BYTES', [3], columns.campaign),
    tensor('price', 'FP32', [3], columns.price),
    tensor('tags', 'BYTES', [4], tags.values),
    tensor('tags.offsets', 'INT32', [4], tags.offsets),
  ]
  const badTags = { ...inputs[4]!, data: [0, 3, 1, 4] }
  for (const [name, url, body] of [
    ['rows', '/predict', asked],
    ['columns', '/predict', { ...asked, candidates: columns }],
    ['bad rows', '/predict', { ...asked, candidates: [{ ...listCandidates[0], tags: [1], image: [1] }] }],
    ['too many values', '/predict', { ...asked, context: { hour: 1, history: new Array(101).fill('a') } }],
    ['instances', '/v1/models/ads:predict', { instances: listCandidates.map((row) => ({ ...listContext, ...row })) }],
    ['features by name', '/v2/models/ads/infer', { inputs }],
    ['bad offsets', '/v2/models/ads/infer', { inputs: [...inputs.slice(0, 4), badTags] }],
    [
      'a bad value',
      '/v2/models/ads/infer',
      { inputs: [...inputs, tensor('image', 'FP32', [3, 2], [1, 2, 3, 4, 5, 1e39])] },
    ],
  ] as const) {
    const before = await counts()
    const small = await post(url, JSON.stringify(body))
    const once = await counts()
    t.same(await post(url, padded(body)), small, name)
    const added = (after: string[] | null, from: string[] | null) =>
      after?.map(
        (line) =>
          Number(line.split(' ')[1]) -
          Number(from?.find((other) => other.split(' ')[0] === line.split(' ')[0])?.split(' ')[1] ?? 0),
      )
    if (small.status === 200)
      t.same(added(await counts(), once), added(once, before) ?? [], `${name}: what is cut or unknown counts`)
  }
})

t.test('large bodies are read one after the other, each with its own answer', async (t) => {
  const bodies = Array.from({ length: 6 }, (_, i) => ({
    context: { ...context, hour: i },
    candidates: rows.slice(0, 1 + (i % 2)),
  }))
  const small = await Promise.all(bodies.map((body) => ask('/predict', JSON.stringify(body))))
  t.same(await Promise.all(bodies.map((body) => ask('/predict', padded(body)))), small)
})

t.test('a thread that dies fails the body that it reads, and is replaced', async (t) => {
  const bodies = createMemoryBudget({ maxBytes: 1000 }).part()
  const script = new URL(`data:text/javascript,${encodeURIComponent('process.exit(7)')}`)
  const reader = createLargeBodyReader({ bodies, maxBodyBytes: 1000, maxRows: 10, script })
  for (let i = 0; i < 2; i++) {
    const reading = reader.open(predictFormat, { bytes: Buffer.from('{}') })
    await t.rejects(reading, { code: 'MODEL_FAILED', message: /ended: exit code 7/ })
  }
  t.equal(bodies.bytes, 0)
  await reader.close()
})

t.test('an answer counts where the error of its thread arrives first', async (t) => {
  emitErrorFirst(t, (message) => (message as { asked?: unknown }).asked === 'its tasks')
  const code = `import { parentPort } from 'node:worker_threads'
  parentPort.once('message', () => {
    parentPort.postMessage({ type: 'opened', asked: 'its tasks' })
    throw new Error('out of memory')
  })`
  const script = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
  const bodies = createMemoryBudget({ maxBytes: 1000 }).part()
  const reader = createLargeBodyReader({ bodies, maxBodyBytes: 1000, maxRows: 10, script })
  for (let i = 0; i < 2; i++) {
    const body = await reader.open(predictFormat, { bytes: Buffer.from('{}') })
    t.equal(body.asked, 'its tasks')
    body.close()
  }
  await reader.close()
})

t.test('bodies that wait make room, the largest first', async (t) => {
  const bodies = createMemoryBudget({ maxBytes: 1000 }).part()
  const reader = createLargeBodyReader({ bodies, maxBodyBytes: 1000, maxRows: 10, script: readerScript })
  t.teardown(() => reader.close())
  const open = (size: number) =>
    reader.open(predictFormat, { bytes: Buffer.from(`{"candidates":[]}${' '.repeat(size)}`) })
  const [first, second] = [open(100), open(950)]
  second.catch(() => undefined)
  const { asked, close } = await first
  t.equal(asked.form, 'rows')
  t.ok(bodies.bytes > 0, 'the thread holds it')
  close()
  close()
  await t.rejects(second, { code: 'QUEUE_FULL' })
  t.equal(bodies.bytes, 0)
  const third = await open(100)
  third.close()
  t.equal(bodies.bytes, 0, 'the thread goes on')
})
