import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { servingRows } from '../../../../src/server/protocols/tensorflow-serving/serving-rows.ts'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { anyTypes, errorOf, type InferReply } from '../../../support/infer-body.ts'
import { startTestServer } from '../../../support/server.ts'
import { candidates, columns, context, instances, serving } from '../../../support/serving-body.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
await writeTestBundle(models, { version: '2', seed: 2 })
await writeFile(join(models, 'ads', 'labels.json'), JSON.stringify({ stable: '1' }))
await writeTestBundle(models, { name: 'a.b-c_2' })
const server = await startTestServer(t, {
  models,
  limits: { maxRequestRows: 4 },
  maxBodyBytes: 2000,
  registry: { mode: 'all', defaultModel: 'ads' },
})
const { fastify, metrics, predict } = server
const ask = (body: unknown, path = 'ads/versions/1:predict', headers = {}) => serving(fastify, path, body, headers)
const answerOf = ({ text }: InferReply) => JSON.parse(text)

/** The answers of `POST /predict` to the same rows. */
const expected = (await predict({ model: 'ads', version: '1', context, candidates })).body.predictions
const byTask = (task: string) => expected.map((row: any) => row[task])
const outputs = { ctr: byTask('ctr'), cvr: byTask('cvr'), ctcvr: byTask('ctcvr') }
// Encoded as the manifest says; price is log1p, views are standardised.
const sparse = [
  [1, 25, 28],
  [1, 25, 28],
]
const dense = [
  [0.5, -0.5],
  [0, 0.75],
]
const ofTensors = (await predict({ model: 'ads', version: '1', sparse, dense })).body.predictions

t.test('instances are answered by predictions, an object a row', async (t) => {
  const { status, headers, text } = await ask({ instances })
  t.equal(status, 200)
  t.equal(headers['content-type'], 'application/json')
  t.same(JSON.parse(text), { predictions: expected })
})

t.test('inputs are answered by outputs, an array a task', async (t) => {
  t.same(answerOf(await ask({ inputs: columns })), { outputs })
})

t.test('what holds for all rows may stand in the context', async (t) => {
  t.same(answerOf(await ask({ context, instances: candidates })), { predictions: expected })
  const inputs = { campaign: columns.campaign, price: columns.price, views: columns.views }
  t.same(answerOf(await ask({ context, inputs })), { outputs })
})

t.test('ids are echoed', async (t) => {
  const rows = instances.map((row, i) => ({ id: `ad-${i}`, ...row }))
  t.same(answerOf(await ask({ instances: [rows[0], instances[1]] })), {
    predictions: [{ id: 'ad-0', ...expected[0] }, expected[1]],
  })
  t.same(answerOf(await ask({ inputs: { ...columns, id: ['a"', 'ä'], bid: [1, 2] } })), {
    outputs: { id: ['a"', 'ä'], ...outputs },
  })
})

t.test('tensors are known by their names', async (t) => {
  const rows = sparse.map((ids, i) => ({ sparse: ids, dense: dense[i] }))
  t.same(answerOf(await ask({ instances: rows })), { predictions: ofTensors })
  t.same(answerOf(await ask({ inputs: { sparse, dense } })).outputs.ctr, [ofTensors[0].ctr, ofTensors[1].ctr])
  t.same(answerOf(await ask({ signature_name: 'serving_default', instances: rows })), { predictions: ofTensors })
})

t.test('a signature may be named', async (t) => {
  for (const signature_name of ['features', 'serving_default', '', null, undefined])
    t.same(answerOf(await ask({ signature_name, instances })), { predictions: expected }, String(signature_name))
  t.equal(
    errorOf(t, await ask({ signature_name: 'serve', instances }), 400),
    `/signature_name is "serve", which this model doesn't have: it has serving_default, features`,
  )
  const rows = [{ sparse: sparse[0], dense: dense[0] }]
  t.match(errorOf(t, await ask({ signature_name: 'features', instances: rows }), 400), /^\/instances\/0\/sparse is not/)
})

t.test('strings may be base64', async (t) => {
  const b64 = (text: string) => ({ b64: Buffer.from(text).toString('base64') })
  const rows = [{ ...instances[0], country: b64('DE'), campaign: b64('c9') }, instances[1]]
  t.same(answerOf(await ask({ instances: rows })), { predictions: expected })
  t.same(answerOf(await ask(JSON.stringify({ instances: rows }).replaceAll('"b64"', '"\\u0062\\u00364"'))), {
    predictions: expected,
  })
  const inputs = { campaign: [b64('c9'), 'c1'], price: columns.price, views: columns.views }
  t.same(answerOf(await ask({ context: { ...context, country: b64('DE') }, inputs })), { outputs })
  for (const wrong of ['c-9', 'YzkK=', '/w==', 7, ['YzkK']]) {
    const answer = await ask({ instances: [instances[0], { ...instances[1], campaign: { b64: wrong } }] })
    t.equal(errorOf(t, answer, 400), '/instances/1/campaign must be base64 of UTF-8 text', String(wrong))
  }
  const column = await ask({ context, inputs: { ...inputs, campaign: ['c9', { b64: '-' }] } })
  t.equal(errorOf(t, column, 400), '/inputs/campaign/1 must be base64 of UTF-8 text')
  const shared = await ask({ context: { ...context, country: { b64: '-' } }, instances: candidates })
  t.equal(errorOf(t, shared, 400), '/context/country must be base64 of UTF-8 text')
  const price = await ask({ instances: [{ ...instances[0], price: b64('1.25') }] })
  t.equal(errorOf(t, price, 400), '/instances/0/price must be a number, not a string')
  const more = await ask({ instances: [{ ...instances[0], campaign: { ...b64('c9'), c: 1 } }] })
  t.equal(errorOf(t, more, 400), '/instances/0/campaign must be a string, not an object')
})

t.test('a version or a label may be named; else the highest good version answers', async (t) => {
  t.same(answerOf(await ask({ instances }, 'ads/labels/stable:predict')), { predictions: expected })
  const { predictions } = (await predict({ model: 'ads', context, candidates })).body
  t.same(answerOf(await ask({ instances }, 'ads:predict')), { predictions })
  t.not(predictions[0].ctr, expected[0].ctr)
  for (const [path, servable] of [
    ['nothing:predict', 'Latest(nothing)'],
    ['ads/versions/9:predict', 'Specific(ads, 9)'],
    ['ads/versions/x:predict', 'Specific(ads, x)'],
    ['ads/labels/canary:predict', 'Latest(ads), label canary'],
  ] as const)
    t.equal(errorOf(t, await ask({ instances }, path), 404), `Servable not found for request: ${servable}`)
})

t.test('names have dots, dashes and underscores; the colon may be escaped', async (t) => {
  for (const path of ['a.b-c_2:predict', 'a.b-c_2:predict/', 'a.b-c_2/versions/1:predict', 'a.b-c_2%3Apredict?x=1'])
    t.same(answerOf(await ask({ instances }, path)), { predictions: expected }, path)
  for (const path of ['ads:predictx', 'ads:', ':predict', 'ads/predict', 'ads:predict/more', 'a%2Fb:predict'])
    t.match(errorOf(t, await ask({ instances }, path), 404), /^There is nothing at/, path)
  errorOf(t, await ask({ instances }, `${'x'.repeat(128)}:predict`), 404)
  errorOf(t, await ask({ instances }, `${'x'.repeat(129)}:predict`), 400)
  errorOf(t, await ask({ instances }, '%zz:predict'), 400)
})

t.test('another method is 405, with those that are taken', async (t) => {
  for (const [method, path, allow] of [
    ['GET', 'ads:predict', 'POST'],
    ['PUT', 'ads/versions/1:predict', 'POST'],
    ['DELETE', 'ads/labels/stable:predict', 'POST'],
    ['GET', 'ads:classify', 'POST'],
    ['POST', 'ads', 'GET, HEAD'],
    ['POST', 'ads/versions/1/metadata', 'GET, HEAD'],
  ] as const) {
    const answer = await fastify.inject({ method, url: `/v1/models/${path}` })
    t.equal(answer.statusCode, 405, path)
    t.equal(answer.headers.allow, allow, path)
    t.match(answer.json().error, /does not take/)
  }
})

t.test('what the body is called makes no difference, nor its compression', async (t) => {
  const body = JSON.stringify({ instances })
  for (const type of anyTypes) {
    const packed = { 'content-type': type, 'content-encoding': 'gzip' }
    t.same(answerOf(await ask(body, undefined, { 'content-type': type })), { predictions: expected }, type)
    t.same(answerOf(await ask(gzipSync(body), undefined, packed)), { predictions: expected }, type)
    t.match(errorOf(t, await ask('<instances/>', undefined, { 'content-type': type }), 400), /^The body must be JSON/)
  }
  t.same(answerOf(await ask(gzipSync(body), undefined, { 'content-encoding': 'gzip' })), { predictions: expected })
  errorOf(t, await ask(body, undefined, { 'content-encoding': 'zstd' }), 415)
})

t.test('classify and regress are refused', async (t) => {
  for (const verb of ['classify', 'regress']) {
    const answer = await ask({ examples: [{}] }, `ads/labels/stable:${verb}`)
    t.match(errorOf(t, answer, 400), new RegExp(`can't be asked to ${verb}: its signatures are for predict`))
    t.match(errorOf(t, await ask({}, `nothing:${verb}`), 404), /^Servable not found/)
  }
})

for (const [body, message] of [
  ['', 'The body must be JSON; it is empty'],
  ['{"instances": [', /^The body must be JSON: /],
  ['{"instances": [NaN]}', /^The body must be JSON: /],
  ['{"instances": [{"__proto__": 1}]}', /prototype/],
  [[], 'The body must be an object'],
  [
    { instances, signature_name: 7, a: 1, b: 2, c: 3 },
    /^\/a is not known here.*; \/b is not known here.*; \/c is not known here.* \(and 1 more\)$/,
  ],
  [{}, 'The body must have instances (rows) or inputs (columns)'],
  [{ instances, inputs: columns }, '/inputs is given beside instances: only one form is possible'],
  [{ instances: {} }, '/instances must be an array of at least one row, not an object'],
  [{ instances: [] }, '/instances must be an array of at least one row, not an empty one'],
  [{ instances: null }, '/instances must be an array of at least one row, not null'],
  [{ instances, signature_name: 7 }, '/signature_name must be a string'],
  [
    { instances, contxt: {} },
    '/contxt is not known here; did you mean "context"? There is signature_name, parameters, instances, inputs, context',
  ],
  [
    { instances: [7] },
    '/instances/0 must be an object by the names of features, or of the tensors sparse, dense, not a number',
  ],
  [
    { inputs: [7] },
    '/inputs must be an object by the names of features, or of the tensors sparse, dense, not an array',
  ],
  [{ instances: [instances[0], 7] }, '/instances/1 must be an object, not a number'],
  [{ instances: [{ ...instances[0], price: '1' }] }, '/instances/0/price must be a number, not a string'],
  [{ instances: [{ ...instances[0], prize: 1 }] }, '/instances/0/prize is not a field of this model'],
  [{ instances: candidates }, '/instances/0/hour is required: the field has no default'],
  [
    { context, instances },
    /^\/instances\/0\/country is already given in the context; \/instances\/0\/hour is .*; \/instances\/1\/.*\(and 1 more\)$/,
  ],
  [{ context: 7, instances: candidates }, /^\/context must be an object, not a number/],
  [{ inputs: { ...columns, price: [1] } }, '/inputs/price has 1 values where "country" has 2'],
  [{ inputs: { ...columns, price: 1 } }, '/inputs/price must be an array, not a number'],
  [{ inputs: {} }, '/inputs must have at least one column'],
  [{ instances: [{ sparse: [1, 2], dense: [1, 2] }] }, '/instances/0/sparse has 2 values, not 3'],
  [{ instances: [{ sparse: [1, 25, 28], dense: [1, 1e39] }] }, '/instances/0/dense/1 is too large for float32'],
  [
    { instances: [{ sparse: [1, 25, 28] }, 7] },
    '/instances/0/dense is required: [2]; /instances/1 must be an object with sparse, dense, not a number',
  ],
  [
    { instances: [{ sparse: [1, 25, 28], dense: [1, 2], more: 1 }] },
    '/instances/0/more is no input of this model; it has sparse, dense',
  ],
  [{ inputs: { sparse, dense: [dense[0]] } }, '/inputs/dense has 1 rows where sparse has 2'],
  [
    { inputs: { sparse: [[0, 24, 28]], dense: [[1, 2]], more: [] } },
    '/inputs/more is no input of this model; it has sparse, dense',
  ],
  [
    { inputs: { sparse: [[0, 28, 28]], dense: [[1, 2]] } },
    '/inputs/sparse/0/1 is not an id of hour: must be from 4 to 27',
  ],
] as [unknown, string | RegExp][]) {
  t.test(`${JSON.stringify(body)?.slice(0, 100)} is refused`, async (t) => {
    t.match(errorOf(t, await ask(body), 400), message)
  })
}

t.test('parameters, which some clients send always, are passed over', async (t) => {
  t.same(answerOf(await ask({ instances, parameters: { x: 1 } })), { predictions: expected })
})

t.test('too many rows, and too large bodies', async (t) => {
  const row = instances[0]
  t.match(errorOf(t, await ask({ instances: [row, row, row, row, row] }), 413), /5 rows; at most 4/)
  const many = new Array(5).fill({ sparse: sparse[0], dense: dense[0] })
  t.match(errorOf(t, await ask({ instances: many }), 413), /5 rows; at most 4/)
  errorOf(t, await ask(Buffer.alloc(2001)), 413)
  errorOf(t, await ask(gzipSync(Buffer.alloc(20_000)), undefined, { 'content-encoding': 'gzip' }), 413)
})

t.test('every request is counted by its outcome, and none adds a series of its own', async (t) => {
  const scrape = () => metrics.registry.metrics()
  const count = async (outcome: string, labels = 'model="ads",version="1"') => {
    const line = `multigate_requests_total{${labels},outcome="${outcome}"} `
    return Number((await scrape()).split(line)[1]?.split('\n')[0] ?? 0)
  }
  const none = 'model="",version=""'
  const counts = async () => [
    await count('ok'),
    await count('invalid_request'),
    await count('invalid_request', none),
    await count('model_not_found', none),
  ]
  // Node's own series come and go, for example with the kind of a garbage collection.
  const series = async () =>
    (await scrape())
      .split('\n')
      .filter((line) => line.startsWith('multigate_'))
      .map((line) => line.split(' ')[0])
  const before = await counts()
  const names = await series()
  await ask({ instances })
  await ask({ instances: [{ junk: 1 }] })
  await ask({}, 'ads/versions/1:classify')
  await ask('{')
  await ask({ instances }, 'junk:predict')
  t.same(
    await counts(),
    before.map((value, i) => value + [1, 2, 1, 1][i]!),
  )
  for (let i = 0; i < 5; i++) {
    for (const path of [`junk-${i}:predict`, `ads/versions/${10 + i}:predict`, `ads/labels/junk-${i}:predict`])
      await ask({ instances }, path)
    await ask({ signature_name: `junk-${i}`, instances })
    for (const url of [`junk-${i}`, `junk-${i}/metadata`, `ads:junk-${i}`]) await fastify.inject(`/v1/models/${url}`)
  }
  t.same(await series(), names)
  t.notMatch(await scrape(), /junk/)
})

t.test('an id may be a number, and comes back as it was sent', async (t) => {
  const context = { country: 'DE', hour: 21 }
  const ids = [7, '7']
  const rows = ids.map((id) => ({ campaign: 'c9', price: 1.25, id }))
  const byRow = await ask({ context, instances: rows })
  t.same(
    answerOf(byRow).predictions.map(({ id }: { id: unknown }) => id),
    ids,
  )
  const byColumn = await ask({ context, inputs: { campaign: ['c9', 'c9'], price: [1, 2], id: ids } })
  t.same(answerOf(byColumn).outputs.id, ids)
})

t.test('rows beyond the limit are refused before anything is made of them', async (t) => {
  let visited = 0
  const instances = new Proxy(new Array(20_000).fill(0), {
    get(target, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) visited++
      return Reflect.get(target, key)
    },
  })
  const { model, release } = server.registry.acquire('ads')
  release()
  const body = { form: 'instances', values: instances, context: undefined, signature: undefined, base64: true } as const
  t.throws(() => servingRows(body, model), { code: 'TOO_MANY_ROWS' })
  t.ok(visited <= 1, `${visited} visited`)
})
