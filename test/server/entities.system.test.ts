import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type TableChange, Tables } from '../../src/model/serving/tables/tables.ts'
import type { Entities } from '../../src/schemas/entities.ts'
import { temporaryFolder, testFeatures, writeTestBundle } from '../support/bundle.ts'
import { runCli } from '../support/cli.ts'
import { importRows } from '../support/feature-table.ts'
import { startTestServer } from '../support/server.ts'

const entities: Entities = {
  ad: { key: 'ad_id', side: 'candidate', table: 'ads', features: ['campaign', 'price'], unknown: 'defaults' },
  user: { key: 'user_id', side: 'context', table: 'users', features: ['country', 'hour'], unknown: 'refuse' },
}
const ads: Record<string, { campaign: string; price: number }> = Object.fromEntries(
  Array.from({ length: 40 }, (_, i) => [`ad-${i}`, { campaign: `c${i % 7}`, price: i / 10 }]),
)

const adRows = (price = (own: number) => own) =>
  Object.entries(ads).map(([id, ad]) => ({ id, ...ad, price: price(ad.price) }))

async function serve(t: Test, changed: { entities?: Entities; features?: typeof testFeatures } = {}) {
  const models = await temporaryFolder(t)
  await writeTestBundle(models, { manifest: { entities, ...changed } })
  await importRows(models, 'ads', adRows())
  await importRows(models, 'users', [
    { id: 'u1', country: 'DE', hour: 21 },
    { id: '7', country: 'XX', hour: 3 },
    { id: 'late', country: 'FR', hour: 30 },
    { id: 'unset', country: 'FR' },
  ])
  const changes: TableChange[] = []
  const tables = new Tables(models, (change) => changes.push(change))
  const server = await startTestServer(t, { models, tables, maxBodyBytes: 10_000_000 })
  return { models, tables, changes, ...server }
}

t.test('requests by id are answered as those with the values', async (t) => {
  const { predict, fastify, registry, changes } = await serve(t)
  t.equal(registry.live().length, 1)
  t.same(changes, [
    { table: 'ads', version: '1', type: 'opened', replaced: false },
    { table: 'users', version: '1', type: 'opened', replaced: false },
  ])
  const ids = ['ad-3', 'ad-0', 'ad-39', 'ad-3']
  const byId = await predict({ context: { user_id: 'u1' }, candidates: ids })
  const byValue = await predict({
    context: { country: 'DE', hour: 21 },
    candidates: ids.map((id) => ({ id, ...ads[id] })),
  })
  t.equal(byId.status, 200)
  t.same(byId.body.predictions, byValue.body.predictions, 'bit for bit, with the ids')
  // Values that are sent win, field by field.
  const sent = await predict({
    context: { user_id: 7, hour: 4 },
    candidates: [
      'ad-1',
      { ad_id: 'ad-2', price: 9, id: 'x' },
      { campaign: 'c1', price: 2 },
      { ad_id: 'ad-5', views: 3 },
    ],
  })
  const values = await predict({
    context: { country: 'XX', hour: 4 },
    candidates: [
      { id: 'ad-1', ...ads['ad-1'] },
      { ...ads['ad-2'], price: 9, id: 'x' },
      { campaign: 'c1', price: 2 },
      { ...ads['ad-5'], views: 3 },
    ],
  })
  t.same(sent.body.predictions, values.body.predictions)
  const columns = await predict({
    context: { user_id: 'u1' },
    candidates: { ad_id: ids, id: ids },
  })
  t.same(
    columns.body.predictions.ctr,
    byId.body.predictions.map(({ ctr }: { ctr: number }) => ctr),
  )
  const mixed = { ad_id: ['ad-1', 'ad-2'], price: [1.5, 9] }
  const given = { campaign: [ads['ad-1']!.campaign, ads['ad-2']!.campaign], price: [1.5, 9] }
  t.same(
    (await predict({ context: { user_id: 'u1' }, candidates: mixed })).body.predictions,
    (await predict({ context: { user_id: 'u1' }, candidates: given })).body.predictions,
  )
  const metrics = (await fastify.inject({ method: 'GET', url: '/metrics' })).body
  t.match(metrics, /multigate_unknown_values_total\{[^}]*feature="country"[^}]*\} 2/, 'one by key, one by value')
})

t.test('large bodies are read by a thread, with the same tables', async (t) => {
  const { predict } = await serve(t)
  const candidates = Array.from({ length: 400 }, (_, i) => ({ ad_id: `ad-${i % 40}`, id: 'x'.repeat(2000) }))
  const { status, body } = await predict({ context: { user_id: 'u1' }, candidates })
  const small = await predict({ context: { user_id: 'u1' }, candidates: candidates.slice(0, 40) })
  t.equal(status, 200)
  t.same(body.predictions.slice(0, 40), small.body.predictions)
})

t.test('wrong and unknown keys are problems with their places', async (t) => {
  const { predict } = await serve(t)
  const problems = async (body: object) => {
    const { status, body: answer } = await predict(body)
    t.equal(status, 400)
    return answer.errors.map(({ path, message }: { path: string; message: string }) => `${path} ${message}`)
  }
  t.same(await problems({ context: { user_id: 'u2' }, candidates: ['ad-1'] }), [
    '/context/user_id the table "users" has no row of "u2"',
  ])
  t.same(await problems({ context: { user_id: 1.5 }, candidates: ['ad-1', true, { ad_id: null }, 1.5] }), [
    '/context/user_id must be a string or an integer',
    '/candidates/2/ad_id must be a string or an integer, not null',
    '/candidates/1 must be an object or a key, ad_id, not a boolean',
    '/candidates/3 must be an object or a key, ad_id, not a number',
  ])
  t.same(await problems({ context: { user_id: 'late' }, candidates: ['ad-99', {}, { ad_id: 'no', price: 1 }] }), [
    '/context/user_id hour of "late" in the table "users" must be from 0 to 23',
    '/candidates/0 the table "ads" has no row of "ad-99", and campaign, price have no default',
    '/candidates/1/campaign is required: the field has no default',
    '/candidates/1/price is required: the field has no default',
    '/candidates/2/ad_id the table "ads" has no row of "no", and campaign has no default',
  ])
  const { body } = await predict({
    context: { user_id: 'u1' },
    candidates: ['ad-1', 'gone', 'ad-2'],
    options: { partial: true },
  })
  t.match(body.predictions, [{ id: 'ad-1' }, null, { id: 'ad-2' }])
  t.match(body.errors, [{ path: '/candidates/1', message: /no row of "gone"/ }])
  t.same(
    await problems({ context: { user_id: 'u1' }, candidates: { ad_id: ['ad-1', null, 'gone'], price: [1, 2, 3] } }),
    [
      '/candidates/ad_id/1 must be a string or an integer, not null',
      '/candidates/ad_id/2 the table "ads" has no row of "gone", and campaign has no default',
    ],
  )
  const { body: unset } = await predict({ context: { user_id: 'unset' }, candidates: ['ad-1'] })
  t.match(unset.errors, [{ path: '/context/hour', message: 'is required: the field has no default' }])
})

t.test('a new version of a table changes the next answer, unless it does not fit', async (t) => {
  const { models, tables, changes, predict } = await serve(t)
  const asked = { context: { user_id: 'u1' }, candidates: ['ad-9'] }
  const before = (await predict(asked)).body.predictions
  await importRows(
    models,
    'ads',
    adRows((price) => price + 1),
  )
  await tables.refresh()
  const after = (await predict(asked)).body.predictions
  t.not(after[0].ctr, before[0].ctr)
  const { price } = ads['ad-9']!
  const byValue = await predict({
    context: { user_id: 'u1' },
    candidates: [{ id: 'ad-9', campaign: ads['ad-9']!.campaign, price: price + 1 }],
  })
  t.same(after, byValue.body.predictions)
  await importRows(
    models,
    'ads',
    adRows().map(({ price: _, ...row }) => row),
  )
  await tables.refresh()
  t.match(changes.at(-1), { table: 'ads', version: '3', problem: /has no column "price": a model that is served/ })
  t.same((await predict(asked)).body.predictions, after)
  await importRows(
    models,
    'ads',
    adRows().map((row) => ({ ...row, price: String(row.price) })),
  )
  await tables.refresh()
  t.match(changes.at(-1), { version: '4', problem: /column "price" of strings, and the field is one of numbers/ })
})

t.test('a delta changes the next answer, in the thread for large bodies, too', async (t) => {
  const { models, tables, changes, predict } = await serve(t)
  const large = Array.from({ length: 400 }, (_, i) => ({ ad_id: `ad-${i % 40}`, id: 'x'.repeat(2000) }))
  const ask = async (candidates: readonly unknown[]) => {
    const { body } = await predict({ context: { user_id: 'u1' }, candidates })
    return body.predictions
  }
  const [before, largeBefore] = [await ask(['ad-9', 'ad-8']), await ask(large)]
  const delta = async (rows: readonly object[]) => {
    const file = join(models, 'delta.jsonl')
    await writeFile(file, rows.map((row) => JSON.stringify(row)).join('\n'))
    const { code, stderr } = await runCli(['features', 'delta', 'ads', file, '--models', models])
    if (code !== 0) throw new Error(stderr)
    await tables.refresh()
  }
  await delta([{ id: 'ad-9', price: 3.25 }])
  t.match(changes.at(-1), { table: 'ads', version: '1', event: { type: 'applied', from: 0, to: 1, rows: 1 } })
  const after = await ask(['ad-9', 'ad-8'])
  t.not(after[0].ctr, before[0].ctr)
  t.same(after[1], before[1])
  t.same(after[0], (await ask([{ id: 'ad-9', campaign: ads['ad-9']!.campaign, price: 3.25 }]))[0])
  const largeAfter = await ask(large)
  t.equal(largeAfter[9].ctr, after[0].ctr)
  t.equal(largeAfter[10].ctr, largeBefore[10].ctr)
  // More than is applied on the main thread.
  await delta(Array.from({ length: 20_000 }, (_, i) => ({ id: `ad-${i}`, campaign: `c${i % 7}`, price: 5 })))
  t.equal(changes.at(-1)?.type, 'deltas')
  t.same(
    (await ask(['ad-9', 'ad-19999'])).map(({ id }: { id: string }) => id),
    ['ad-9', 'ad-19999'],
  )
  t.equal((await ask(large))[9].ctr, (await ask([{ id: 'ad-9', campaign: 'c2', price: 5 }]))[0].ctr)
})

t.test('a key of the context may stand in each candidate, in rows and in columns', async (t) => {
  const { predict } = await serve(t)
  const users = { u1: { country: 'DE', hour: 21 }, 7: { country: 'XX', hour: 3 } }
  const asked = ['u1', 7, 'u1'].map((user_id, i) => ({ user_id, ad_id: `ad-${i}`, ...(i === 2 && { hour: 5 }) }))
  const byValue = ['u1', 7, 'u1'].map((user, i) => ({
    ...ads[`ad-${i}`],
    ...users[user as 'u1'],
    ...(i === 2 && { hour: 5 }),
  }))
  const wanted = (await predict({ candidates: byValue })).body.predictions
  t.same((await predict({ candidates: asked })).body.predictions, wanted)
  const columns = await predict({
    candidates: { ad_id: ['ad-0', 'ad-1'], user_id: ['u1', 7] },
  })
  t.same(
    columns.body.predictions.ctr,
    wanted.slice(0, 2).map(({ ctr }: { ctr: number }) => ctr),
  )
  const { body } = await predict({ candidates: [{ user_id: 'u2', ad_id: 'ad-1' }, { ad_id: 'ad-2' }] })
  t.match(body.errors, [
    { path: '/candidates/0/user_id', message: 'the table "users" has no row of "u2"' },
    { path: '/candidates/1/hour' },
  ])
})

t.test('candidates that the table does not have are left out, and named', async (t) => {
  const { predict, fastify } = await serve(t, {
    entities: { ...entities, ad: { ...entities.ad!, unknown: 'leave_out' } },
  })
  const context = { user_id: 'u1' }
  const wanted = (await predict({ context, candidates: ['ad-1', 'ad-2'] })).body.predictions
  const { status, body } = await predict({ context, candidates: ['ad-1', 'gone', { ad_id: 'ad-2' }, { ad_id: 'x' }] })
  t.equal(status, 200)
  t.same(
    body.predictions,
    [wanted[0], null, { ...wanted[1], id: undefined }, null].map((one) => one && JSON.parse(JSON.stringify(one))),
  )
  t.same(body.errors, [
    { path: '/candidates/1', message: 'the table "ads" has no row of "gone": the candidate is left out' },
    { path: '/candidates/3/ad_id', message: 'the table "ads" has no row of "x": the candidate is left out' },
  ])
  const columns = await predict({ context, candidates: { ad_id: ['gone', 'ad-1'] } })
  t.same(columns.body.predictions.ctr, [null, wanted[0].ctr])
  t.match(columns.body.errors, [{ path: '/candidates/ad_id/0' }])
  const ranked = await predict({ context, candidates: ['gone', 'ad-1'], options: { rank: { by: 'ctr' } } })
  t.match(ranked.body.predictions, [{ index: 1, id: 'ad-1' }])
  t.equal(ranked.body.predictions.length, 1)
  const none = await predict({ context, candidates: ['gone'] })
  t.same(none.body.predictions, [null])
  // Other problems still refuse the request.
  t.equal((await predict({ context, candidates: ['gone', { ad_id: 'ad-1', price: 'x' }] })).status, 400)
  // Another protocol has no place for what is left out.
  const inputs = [
    { name: 'ad_id', datatype: 'BYTES', shape: [2], data: ['ad-1', 'gone'] },
    { name: 'user_id', datatype: 'BYTES', shape: [1], data: ['u1'] },
  ]
  const infer = await fastify.inject({ method: 'POST', url: `/v2/models/${body.model}/infer`, payload: { inputs } })
  t.equal(infer.statusCode, 400)
  t.match(infer.json().error, /no row of "gone"/)
})

t.test('keys are taken by the Open Inference Protocol and by TensorFlow Serving REST', async (t) => {
  const { predict, fastify } = await serve(t)
  const post = async (url: string, payload: object) => (await fastify.inject({ method: 'POST', url, payload })).json()
  const ids = ['ad-3', 'ad-4', 'ad-3']
  const wanted: number[] = (await predict({ context: { user_id: 'u1' }, candidates: ids })).body.predictions.map(
    ({ ctr }: { ctr: number }) => ctr,
  )
  const near = (values: readonly number[], message: string) => {
    t.equal(values.length, wanted.length, message)
    t.ok(
      values.every((value, i) => Math.abs(value - wanted[i]!) < 1e-6),
      message,
    )
  }
  const tensors = (users: readonly string[]) => [
    { name: 'ad_id', datatype: 'BYTES', shape: [3], data: ids },
    { name: 'user_id', datatype: 'BYTES', shape: [users.length], data: users },
  ]
  const { model: name } = (await predict({ context: { user_id: 'u1' }, candidates: ids })).body
  const path = `/v2/models/${name}/infer`
  for (const users of [['u1'], ['u1', 'u1', 'u1']]) {
    const { outputs } = await post(path, { inputs: tensors(users) })
    near(outputs.find((output: { name: string }) => output.name === 'ctr').data, `${users.length} users`)
  }
  const sent = await post(path, {
    inputs: [...tensors(['u1']), { name: 'price', datatype: 'FP64', shape: [3], data: [9, 9, 9] }],
  })
  t.not(sent.outputs[0].data[0], wanted[0])
  t.match(await post(path, { inputs: [{ name: 'ad_ids', datatype: 'BYTES', shape: [1], data: ['x'] }] }), {
    error: /did you mean "ad_id"\?/,
  })
  const served = (answer: { predictions: { ctr: number }[] }) => answer.predictions.map(({ ctr }) => ctr)
  const url = `/v1/models/${name}:predict`
  near(served(await post(url, { context: { user_id: 'u1' }, instances: ids })), 'keys alone')
  near(served(await post(url, { instances: ids.map((ad_id) => ({ ad_id, user_id: 'u1' })) })), 'keys in rows')
  const inputs = await post(url, { context: { user_id: 'u1' }, inputs: { ad_id: ids } })
  near(inputs.outputs.ctr, 'columns')
  const metadata = (await fastify.inject({ method: 'GET', url: `/v2/models/${name}` })).json()
  t.match(metadata.parameters.keys, [
    { name: 'ad_id', datatype: 'BYTES', side: 'candidate', instead_of: ['campaign', 'price'] },
    { name: 'user_id', side: 'context' },
  ])
})

t.test('an answer tells what was fetched, and a version what its tables are', async (t) => {
  const { predict, fastify, tables } = await serve(t)
  const candidates = ['ad-1', { ad_id: 'ad-2', price: 9 }, { campaign: 'c1', price: 1 }]
  const options = { features: true }
  const { body } = await predict({ context: { user_id: 'u1', hour: 2 }, candidates, options })
  const expected = {
    context: { user: { key: 'u1', found: true, fetched: { country: 'DE' }, defaults: {} } },
    candidates: [
      { ad: { key: 'ad-1', found: true, fetched: ads['ad-1'], defaults: {} } },
      { ad: { key: 'ad-2', found: true, fetched: { campaign: 'c2' }, defaults: {} } },
      null,
    ],
  }
  t.same(body.features, expected)
  const plain = await predict({ context: { user_id: 'u1', hour: 2 }, candidates })
  t.same(plain.body.predictions, body.predictions)
  t.equal(plain.body.features, undefined)
  const large = candidates.map((one) => (typeof one === 'string' ? { ad_id: one, id: 'x'.repeat(400_000) } : one))
  t.same((await predict({ context: { user_id: 'u1', hour: 2 }, candidates: large, options })).body.features, expected)
  await predict({ context: { user_id: 'u1' }, candidates: ['gone', 'x'.repeat(500)] })
  await predict({ context: { user_id: 'u1' }, candidates: ['gone'], options: { observe: false } })
  const details = (await fastify.inject({ method: 'GET', url: `/models/${body.model}` })).json()
  t.match(details.entities, [
    {
      ...{ name: 'ad', key: 'ad_id', side: 'candidate', features: ['campaign', 'price'], unknown: 'defaults' },
      table: { name: 'ads', version: '1', rows: 40, source: 'ads.jsonl', deltas: { applied: 0, refused: null } },
      keys: { found: 6, unknown: 2, examples: ['gone', 'x'.repeat(64)] },
    },
    { name: 'user', key: 'user_id', keys: { found: 4, unknown: 0 } },
  ])
  const metrics = (await fastify.inject({ method: 'GET', url: '/metrics' })).body
  t.match(metrics, /multigate_entity_keys_total\{[^}]*entity="ad"[^}]*result="unknown"[^}]*\} 2/)
  t.match(metrics, /multigate_table_rows\{table="ads"\} 40/)
  t.match(metrics, /multigate_table_refused\{table="ads"\} 0/)
  t.notMatch(metrics, /multigate_table_max_age_seconds\{/)
  const written = Number(/multigate_table_written_timestamp_seconds\{table="ads"\} (\S+)/.exec(metrics)![1])
  t.ok(Math.abs(written - Date.now() / 1000) < 600)
  t.equal(tables.status().length, 2)
})

t.test('a version whose tables do not fit is refused', async (t) => {
  const { registry } = await serve(t, {
    entities: { ...entities, ad: { ...entities.ad!, table: 'adds' } },
  })
  t.match(registry.summary(), [])
})

t.test('a list that a row of the table lacks has its default, or is a problem', async (t) => {
  const models = await temporaryFolder(t)
  const image = { name: 'image', kind: 'vector', length: 2, missing: 'error' } as const
  const logo = { ...image, name: 'logo', missing: { default: [3, 4] } }
  const features: typeof testFeatures = [
    ...testFeatures,
    { ...image, side: 'candidate' },
    { ...logo, side: 'candidate' },
    { ...image, name: 'face', side: 'context' },
  ]
  const given = { country: 'DE', hour: 3 }
  const candidate = { campaign: 'c', price: 1, image: [1, 2], logo: [3, 4] }
  await writeTestBundle(models, {
    rows: [{ ...given, ...candidate, face: [0, 1] }],
    manifest: {
      features,
      entities: {
        ad: { ...entities.ad!, features: ['image', 'logo'] },
        user: { ...entities.user!, features: ['face'] },
      },
    },
  })
  await importRows(models, 'ads', [
    { id: 'a', image: [1, 2], logo: null },
    { id: 'b', image: null, logo: [1, 1] },
  ])
  await importRows(models, 'users', [
    { id: 'u', face: [0, 1] },
    { id: 'v', face: null },
  ])
  const tables = new Tables(models)
  const { predict } = await startTestServer(t, { models, limits: { tables } })
  const [campaign, price] = ['c', 1]
  const ask = (user_id: string, ad_id: string) =>
    predict({ context: { ...given, user_id }, candidates: [{ ad_id, campaign, price }] })
  const byValue = await predict({ context: { ...given, face: [0, 1] }, candidates: [candidate] })
  t.same((await ask('u', 'a')).body.predictions, byValue.body.predictions)
  t.match((await ask('u', 'b')).body.errors, [
    { path: '/candidates/0', message: 'has no image of "b" in the table "ads", and the field has no default' },
  ])
  const { body } = await predict({
    context: { ...given, user_id: 'u' },
    candidates: { ad_id: ['a', 'b'], campaign: ['c', 'c'], price: [1, 1] },
  })
  t.match(body.errors, [{ path: '/candidates/ad_id/1', message: /^has no image of "b"/ }])
  t.match((await ask('v', 'a')).body.errors, [{ path: '/context/face', message: /is required/ }])
})

t.test('tables are listed with the models that read them, and a key to try', async (t) => {
  const { predict, fastify, models, tables } = await serve(t)
  await importRows(models, 'spare', [{ id: 'x', size: 1 }])
  await tables.refresh()
  await predict({ context: { user_id: 'u1' }, candidates: ['ad-1', 'gone'] })
  const get = async (url: string) => (await fastify.inject(url)).json()
  const { tables: listed } = await get('/tables')
  const reader = { model: 'ads', version: '1' }
  t.match(listed, [
    {
      ...{ name: 'ads', version: '1', rows: 40, deltas: { applied: 0 } },
      read_by: [{ ...reader, entity: 'ad', key: 'ad_id', keys: { found: 1, unknown: 1, examples: ['gone'] } }],
    },
    { name: 'spare', read_by: [] },
    { name: 'users', read_by: [{ ...reader, entity: 'user', keys: { found: 1, unknown: 0 } }] },
  ])
  t.equal(listed.length, 3)
  t.equal((await get('/models')).feature_tables, 3)
  const [ad, user] = (await get('/models/ads')).entities
  t.same(ad.first_keys, ['ad-0', 'ad-1', 'ad-2'])
  t.notOk('first_keys' in user, 'keys of users are not shown')
  await tables.close()
  t.notOk('feature_tables' in (await get('/models')), 'without tables nothing is said of them')
})
