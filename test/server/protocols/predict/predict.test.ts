import { gzipSync } from 'node:zlib'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { startTestServer } from '../../../support/server.ts'

const models = await temporaryFolder(t)
const manifest = await writeTestBundle(models)
await writeTestBundle(models, {
  name: 'plain',
  seed: 2,
  architecture: {
    name: 'shared_bottom',
    dim_emb: 4,
    embedding_l2: 0,
    num_hidden_shared: 2,
    dim_hidden_shared: 8,
    dropout_shared: 0,
    num_hidden_tasks: 1,
    dim_hidden_tasks: 8,
    dropout_tasks: 0,
  },
})
const server = await startTestServer(t, { models, registry: { defaultModel: 'ads' } })
const { predict, fastify } = server
const golden = manifest.golden!
const context = { country: 'DE', hour: 21 }
const ad = { campaign: 'c9', price: 1.25 }
const near = (actual: number, expected: number, tolerance = 1e-5) => Math.abs(actual - expected) <= tolerance
const platt = (p: number) => 1 / (1 + Math.exp(-(0.9 * Math.log(p / (1 - p)) - 0.3)))

t.test('named rows: the probability of every task, derived ones too, in the order of the request', async (t) => {
  const [first, second] = golden.rows as Record<string, unknown>[]
  const answer = await predict({ candidates: [{ id: 'a', ...first }, { ...second }] })
  t.equal(answer.status, 200)
  const { model, version, request_id, predictions } = answer.body
  t.same([model, version, request_id], ['ads', '1', answer.headers['x-request-id']])
  t.same(Object.keys(predictions[0]), ['id', 'ctr', 'cvr', 'ctcvr'])
  t.equal(predictions[0].id, 'a')
  t.notOk('id' in predictions[1])
  for (const [row, prediction] of predictions.entries()) {
    const [ctr, cvr] = golden.probabilities[row] as [number, number]
    t.ok(near(prediction.ctr, ctr))
    t.ok(near(prediction.cvr, platt(cvr)), 'calibrated')
    t.ok(near(prediction.ctcvr, ctr * platt(cvr)), 'calibrated before it is multiplied')
  }
})

t.test('a problem of a request that names no model names the one that was asked, whatever the form', async (t) => {
  const big = 'x'.repeat(300_000)
  const forms: Record<string, object> = {
    rows: { context, candidates: [{ ...ad, nothing: 1 }] },
    'several problems': { context, candidates: [{ nothing: 1 }, { none: 2 }] },
    columns: { context, candidates: { campaign: ['c9'], price: ['1'] } },
    tensors: { sparse: [[1]], dense: [[1]] },
    inputs: { inputs: { nothing: [[1]] } },
    options: { context, candidates: [ad], tasks: ['nothing'] },
    'a large body': { context, candidates: [{ ...ad, nothing: big }] },
    'too many rows': { context, candidates: Array(501).fill(ad) },
  }
  const ending = '; the request names no model, so ads was asked'
  for (const [form, body] of Object.entries(forms)) {
    const { status, body: problem } = await predict(body)
    t.match([status, problem.model], [/400|413/, 'ads'], form)
    t.ok(problem.detail.endsWith(ending), form)
    const named = await predict({ model: 'ads', ...body })
    t.notMatch(named.body, { model: 'ads' })
    t.notMatch(named.body.detail, /names no model/, `${form} with a name`)
  }
})

t.test('the context holds for all candidates, and may be the one row', async (t) => {
  const spread = await predict({ candidates: [{ ...context, ...ad }] })
  const shared = await predict({ context, candidates: [ad] })
  const alone = await predict({ context: { ...context, ...ad } })
  t.same(shared.body.predictions, spread.body.predictions)
  t.same(alone.body.predictions, spread.body.predictions)
})

t.test('columns are answered by column', async (t) => {
  const rows = await predict({
    context,
    candidates: [
      { id: 'a', ...ad },
      { campaign: 'c2', price: 3, id: 'b' },
    ],
  })
  const columns = await predict({ context, candidates: { id: ['a', 'b'], campaign: ['c9', 'c2'], price: [1.25, 3] } })
  t.equal(columns.status, 200)
  const { predictions } = rows.body
  t.same(
    columns.body.predictions,
    Object.fromEntries(['id', 'ctr', 'cvr', 'ctcvr'].map((key) => [key, predictions.map((p: any) => p[key])])),
  )
})

t.test('tensors are taken in manifest order', async (t) => {
  const { encoder } = server.registry.live().find(({ name }) => name === 'ads')!.model
  const { sparse, dense } = encoder.rows(context, [ad], { maxRows: 1, partial: false })
  const answer = await predict({ sparse: [[...sparse]], dense: [[...dense]] })
  const named = await predict({ context, candidates: [ad] })
  t.same(answer.body.predictions, named.body.predictions)
  const outside = await predict({ sparse: [[0, 28, 0]], dense: [[0, 0]] })
  t.equal(outside.status, 400)
  t.same(
    outside.body.errors.map((e: any) => e.path),
    ['/sparse/0/1', '/sparse/0/2'],
  )
})

t.test('tasks can be chosen, and come in that order', async (t) => {
  const { body } = await predict({ context, candidates: [ad], tasks: ['ctcvr', 'ctr'] })
  t.same(Object.keys(body.predictions[0]), ['ctcvr', 'ctr'])
})

t.test('raw adds the probabilities before calibration', async (t) => {
  const { body } = await predict({ candidates: [golden.rows[0]], options: { raw: true } })
  const [{ raw, cvr }] = body.predictions
  t.ok(near(raw.ctr, golden.probabilities[0]![0]!))
  t.ok(near(raw.cvr, golden.probabilities[0]![1]!))
  t.ok(near(platt(raw.cvr), cvr))
})

t.test('gates adds the weight of each expert, where a model has gates', async (t) => {
  const { body } = await predict({ context, candidates: [ad, ad], options: { gates: true } })
  for (const { gates } of body.predictions) {
    t.same(Object.keys(gates), ['ctr', 'cvr'])
    for (const weights of Object.values(gates) as number[][]) {
      t.equal(weights.length, 3)
      t.ok(
        near(
          weights.reduce((a, b) => a + b),
          1,
        ),
      )
    }
  }
  const columns = await predict({
    context,
    candidates: { campaign: ['c9', 'c9'], price: [1.25, 1.25] },
    options: { gates: true },
  })
  t.same(
    columns.body.predictions.gates.ctr,
    body.predictions.map((p: any) => p.gates.ctr),
  )
  const without = await predict({ model: 'plain', context, candidates: [ad], options: { gates: true } })
  t.equal(without.status, 400)
  t.same(without.body.errors, [{ path: '/options/gates', message: 'is not possible: the model has no gates' }])
})

t.test('rank answers the best first, each with its score and its place in the request', async (t) => {
  const candidates = Array.from({ length: 20 }, (_, i) => ({
    id: `ad-${i}`,
    campaign: `c${i}`,
    price: i,
    bid: 0.1 * (1 + ((i * 7) % 20)),
  }))
  const plain = await predict({ context, candidates })
  const { body } = await predict({ context, candidates, options: { rank: { by: 'ecpm', top_k: 5 } } })
  const scores = plain.body.predictions.map((p: any, i: number) => 1000 * candidates[i]!.bid * p.ctr * p.cvr)
  const order = scores.map((_: number, i: number) => i).sort((a: number, b: number) => scores[b] - scores[a])
  t.same(
    body.predictions.map((p: any) => p.index),
    order.slice(0, 5),
  )
  for (const prediction of body.predictions) {
    t.equal(prediction.id, `ad-${prediction.index}`)
    t.ok(near(prediction.score / scores[prediction.index], 1))
    t.equal(prediction.ctr, plain.body.predictions[prediction.index].ctr)
  }
  const byTask = await predict({
    context,
    candidates: { campaign: ['c1', 'c2', 'c3'], price: [1, 2, 3] },
    options: { rank: { by: 'cvr' } },
  })
  const { cvr, score, index } = byTask.body.predictions
  t.same(score, cvr)
  t.same(
    [...cvr].sort((a, b) => b - a),
    cvr,
  )
  t.same([...index].sort(), [0, 1, 2])
})

t.test('ecpm needs a bid of every candidate', async (t) => {
  const rank = { by: 'ecpm' }
  const rows = await predict({ context, candidates: [{ ...ad, bid: 1 }, ad], options: { rank } })
  t.same(
    [rows.status, rows.body.errors],
    [400, [{ path: '/candidates/1/bid', message: 'is required to rank by ecpm' }]],
  )
  const columns = await predict({ context, candidates: { campaign: ['c'], price: [1] }, options: { rank } })
  t.same(columns.body.errors, [{ path: '/candidates/bid', message: 'is required to rank by ecpm' }])
  const alone = await predict({ context: { ...context, ...ad }, options: { rank } })
  t.same(
    alone.body.errors.map((e: any) => e.path),
    ['/options/rank/by'],
  )
  const unknown = await predict({ context, candidates: [ad], options: { rank: { by: 'profit' } } })
  t.same(unknown.body.errors, [
    { path: '/options/rank/by', message: 'is no task of this model; it has ctr, cvr, ctcvr, ecpm' },
  ])
})

t.test('partial answers good rows though others are bad', async (t) => {
  const { status, body } = await predict({
    context,
    candidates: [ad, { ...ad, price: 'x' }, null, ad],
    options: { partial: true },
  })
  t.equal(status, 200)
  t.same(
    body.predictions.map((p: unknown) => p !== null),
    [true, false, false, true],
  )
  t.same(body.predictions[0], body.predictions[3])
  t.same(body.errors, [
    { path: '/candidates/1/price', message: 'must be a number, not a string' },
    { path: '/candidates/2', message: 'must be an object, not null' },
  ])
  const none = await predict({ context, candidates: [{}], options: { partial: true } })
  t.same([none.status, none.body.predictions], [200, [null]])
  const columns = await predict({
    context,
    candidates: { campaign: ['a', 3], price: [1, 2] },
    options: { partial: true },
  })
  t.equal(columns.body.predictions.ctr[1], null)
  t.equal(typeof columns.body.predictions.ctr[0], 'number')
})

t.test('everything wrong with a body is told at once, with its place', async (t) => {
  const { status, headers, body } = await predict({
    context: { country: 5, hour: 24, nonsense: 1, id: 'x' },
    candidates: [
      { campaign: 'c', price: null },
      { price: 1e300 },
      7,
      { campaign: {}, price: -2, hour: 3, id: 5.5, bid: -1 },
    ],
  })
  t.equal(status, 400)
  t.equal(headers['content-type'], 'application/problem+json')
  t.match(body, {
    type: 'urn:multigate:problem:invalid-request',
    title: 'The request is invalid',
    status: 400,
    code: 'INVALID_REQUEST',
    request_id: headers['x-request-id'],
  })
  t.same(body.errors, [
    { path: '/context/country', message: 'must be a string, not a number' },
    { path: '/context/hour', message: 'must be from 0 to 23' },
    {
      path: '/context/nonsense',
      message: 'is not a field of this model; it has country, hour, campaign, price, views',
    },
    { path: '/context/id', message: "belongs to a candidate and can't be given in the context" },
    { path: '/candidates/0/price', message: 'is required: the field has no default, and null counts as missing' },
    { path: '/candidates/1/campaign', message: 'is required: the field has no default' },
    { path: '/candidates/2', message: 'must be an object, not a number' },
    { path: '/candidates/3/campaign', message: 'must be a string, not an object' },
    { path: '/candidates/3/price', message: 'must be greater than −1' },
    { path: '/candidates/3/hour', message: 'is already given in the context' },
    { path: '/candidates/3/id', message: 'must be a string or an integer' },
    { path: '/candidates/3/bid', message: 'must be a finite number of at least 0' },
  ])
})

t.test('everything wrong with the envelope is told at once', async (t) => {
  const { status, body } = await predict({
    model: 7,
    tasks: [],
    options: { deadline_ms: -1, gates: 'yes', nonsense: 1, rank: { by: 'ctr', top_k: 0 } },
    extra: 1,
  })
  t.equal(status, 400)
  const paths = body.errors.map((e: any) => e.path).sort()
  for (const path of [
    '/extra',
    '/model',
    '/options/deadline_ms',
    '/options/gates',
    '/options/nonsense',
    '/options/rank/top_k',
    '/tasks',
  ])
    t.ok(paths.includes(path), path)
})

t.test("a schema's problem does not hide the model's problems of the same option", async (t) => {
  const problems = async (more: object) => {
    const { body } = await predict({ context, candidates: [ad], ...more })
    return body.errors.map(({ path, message }: any) => `${path} ${message}`).sort()
  }
  t.match(await problems({ tasks: ['ctrr', 'ctr', 'ctr'] }), [
    '/tasks must not have duplicate items',
    /^\/tasks\/0 is no task of this model; did you mean "ctr"\?/,
  ])
  t.match(await problems({ options: { rank: { by: 'ctrr', top_k: 0 } } }), [
    /^\/options\/rank\/by is no task of this model; did you mean "ctr"\?/,
    '/options/rank/top_k must be at least 1',
  ])
  t.same(await problems({ options: { rank: { top_k: 0 } } }), [
    '/options/rank/by is required',
    '/options/rank/top_k must be at least 1',
  ])
  t.same(await problems({ options: { rank: { by: 7 } } }), ['/options/rank/by must be a string'])
})

t.test('a context that is no object is one problem', async (t) => {
  const { body } = await predict({ context: null, candidates: [ad] })
  t.same(body.errors, [{ path: '/context', message: 'must be an object, not null' }])
})

t.test('bodies that are no request', async (t) => {
  for (const [payload, message] of [
    ['', /empty/i],
    ['{"candidates": [', /JSON/],
    ['{"context": {"__proto__": {"x": 1}}}', /prototype/],
    ['[1]', /object/],
    ['null', /object/],
    ['"text"', /object/],
    ['{}', /must have candidates/],
    ['{"candidates": []}', /at least one candidate/],
    ['{"candidates": {}}', /at least one column/],
    ['{"candidates": "all"}', /must be an array/],
    ['{"candidates": {"price": 3}}', /must be an array/],
    ['{"candidates": {"price": [1, 2], "campaign": ["a"]}}', /1 values where .*price.* has 2/],
    [`{"tasks": ${'['.repeat(50_000)}${']'.repeat(50_000)}}`, /\/tasks\/0 must be a string/],
    [JSON.stringify({ tasks: Array.from({ length: 513 }, (_, i) => `t${i}`) }), /at most 512 items/],
    ['{"context": []}', /must be an object/],
    ['{"sparse": [[1, 2]], "candidates": []}', /only one form/],
    ['{"sparse": []}', /at least one/],
    ['{"sparse": [[0, 4, 28]], "dense": [[0]]}', /1 values, not 2/],
    ['{"sparse": [[0, 4, 28]], "dense": [[0, 1e39]]}', /too large for float32/],
    ['{"sparse": [[0, 4.5, 28]], "dense": [[0, "1"]]}', /must be an integer/],
  ] as const) {
    const { status, body } = await predict(payload)
    t.equal(status, 400, payload)
    t.equal(body.code, 'INVALID_REQUEST', payload)
    t.match(JSON.stringify(body), message, payload)
    t.ok(body.errors.length > 0, payload)
  }
})

t.test('a body that is not there, or no text, is no request', async (t) => {
  const none = await fastify.inject({ method: 'POST', url: '/predict' })
  t.same([none.statusCode, none.json().code], [400, 'INVALID_REQUEST'])
  t.match(none.json().detail, /empty/)
  const payload = Buffer.from(JSON.stringify({ context, candidates: [{ ...ad, id: '?' }] }), 'latin1')
  payload[payload.indexOf('?')] = 0xff
  const headers = { 'content-type': 'application/json' }
  const broken = await fastify.inject({ method: 'POST', url: '/predict', payload, headers })
  t.same([broken.statusCode, broken.json().detail], [400, 'The body must be UTF-8'])
})

t.test('unknown keys are named by JSON pointers, however many there are', async (t) => {
  const one = await predict({ 'a/b~c': 1, context, options: { 'x/y': 1 } })
  t.same(
    one.body.errors.map(({ path }: { path: string }) => path),
    ['/a~1b~0c', '/options/x~1y'],
  )
  const many = await predict(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`key${i}`, i])))
  t.equal(many.body.errors.length, 100)
  t.match(many.body.detail, /^\/key0 is not known here/)
})

t.test('the problem of an option outside of options names its place', async (t) => {
  const { status, body } = await predict({ context, candidates: [ad], deadline_ms: 50, toString: 1 })
  t.equal(status, 400)
  t.match(body.errors, [
    { path: '/deadline_ms', message: 'is not known here; did you mean /options/deadline_ms?' },
    { path: '/toString', message: /^is not known here; there is model, / },
  ])
})

t.test('a long name is not repeated with every problem', async (t) => {
  const columns = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`c${i}`, [1, 2]]))
  const { status, body } = await predict({ candidates: { ['n'.repeat(100_000)]: [1], ...columns } })
  t.equal(status, 400)
  t.ok(JSON.stringify(body).length < 20_000)
})

t.test('a version or label may be asked for, and must exist', async (t) => {
  t.equal((await predict({ model: 'ads', version: '1', context, candidates: [ad] })).status, 200)
  const cases = [
    [{ model: 'nothing' }, 404, 'MODEL_NOT_FOUND'],
    [{ version: '9' }, 404, 'VERSION_NOT_FOUND'],
    [{ label: 'stable' }, 404, 'VERSION_NOT_FOUND'],
    [{ label: 'stable', version: '1' }, 400, 'INVALID_REQUEST'],
    [{ tasks: ['ctr', 'nothing'] }, 400, 'INVALID_REQUEST'],
  ] as const
  for (const [body, status, code] of cases) {
    const answer = await predict({ context, candidates: [ad], ...body })
    t.same([answer.status, answer.body.code], [status, code])
  }
})

t.test('rows, bodies and content types have their limits', async (t) => {
  const many = await predict({ context, candidates: Array.from({ length: 501 }, () => ad) })
  t.same([many.status, many.body.code], [413, 'TOO_MANY_ROWS'])
  const large = await predict(`{"context": {"country": "${'x'.repeat(1_000_001)}"}}`)
  t.same([large.status, large.body.code], [413, 'BODY_TOO_LARGE'])
  for (const type of ['text/plain', 'application/xml']) {
    const other = await predict({ context, candidates: [ad] }, { 'content-type': type })
    t.same([other.status, other.body.code], [415, 'UNSUPPORTED_MEDIA_TYPE'], type)
  }
})

t.test('compressed bodies are understood, and bounded after decompression', async (t) => {
  const send = (text: string, encoding: string) =>
    fastify.inject({
      method: 'POST',
      url: '/predict',
      payload: gzipSync(text),
      headers: { 'content-type': 'application/json', 'content-encoding': encoding },
    })
  t.equal((await send(JSON.stringify({ context, candidates: [ad] }), 'gzip')).statusCode, 200)
  const bomb = await send(`{"context": {"country": "${'x'.repeat(2_000_000)}"}}`, 'gzip')
  t.same([bomb.statusCode, bomb.json().code], [413, 'BODY_TOO_LARGE'])
  const unknown = await send('{}', 'lzma')
  t.same([unknown.statusCode, unknown.json().code], [415, 'UNSUPPORTED_MEDIA_TYPE'])
  const broken = await fastify.inject({
    method: 'POST',
    url: '/predict',
    payload: 'not gzip',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
  })
  t.same([broken.statusCode, broken.json().code], [400, 'INVALID_REQUEST'])
})

t.test('a deadline comes from the body, else from the header', async (t) => {
  const late = await predict({ context, candidates: [ad], options: { deadline_ms: 1e-6 } })
  t.same([late.status, late.body.code, late.body.stage], [504, 'DEADLINE_EXCEEDED', 'queue'])
  const header = await predict({ context, candidates: [ad] }, { 'x-deadline-ms': '0.000001' })
  t.equal(header.status, 504)
  t.equal(
    (await predict({ context, candidates: [ad], options: { deadline_ms: 600_000 } }, { 'x-deadline-ms': '0.000001' }))
      .status,
    200,
  )
  for (const value of ['soon', '-1', '', '1e9'])
    t.equal((await predict({ context, candidates: [ad] }, { 'x-deadline-ms': value })).status, 400, value)
})

t.test('a request id is echoed, or made where it is absent or harmful', async (t) => {
  const { headers, body } = await predict({ context, candidates: [ad] }, { 'x-request-id': 'r-1' })
  t.same([headers['x-request-id'], body.request_id], ['r-1', 'r-1'])
  const made = await predict({ context, candidates: [ad] }, { 'x-request-id': 'a b' })
  t.match(made.body.request_id, /^[0-9a-f-]{36}$/)
})

t.test('many requests at once are batched, and each gets its own answer', async (t) => {
  const bodies = Array.from({ length: 60 }, (_, i) => ({
    context,
    candidates: Array.from({ length: 1 + (i % 7) }, (_, j) => ({ id: `${i}-${j}`, campaign: `c${i}`, price: i + j })),
  }))
  const alone = []
  for (const body of bodies) alone.push((await predict(body)).body.predictions)
  const together = await Promise.all(bodies.map(async (body) => (await predict(body)).body.predictions))
  for (const [i, predictions] of together.entries()) {
    for (const [j, prediction] of predictions.entries()) {
      t.equal(prediction.id, `${i}-${j}`)
      t.ok(near(prediction.ctr, alone[i][j].ctr, 1e-6) && near(prediction.cvr, alone[i][j].cvr, 1e-6))
    }
  }
})

t.test('a wrong option does not hide wrong rows, nor the other way round', async (t) => {
  const candidates = [ad, { ...ad, price: 'x' }]
  const { status, body } = await predict({
    context,
    candidates,
    tasks: ['crt'],
    options: { partail: true, gates: 'yes', rank: { by: 'cvt' } },
  })
  t.equal(status, 400)
  t.same(body.errors.map(({ path }: { path: string }) => path).sort(), [
    '/candidates/1/price',
    '/options/gates',
    '/options/partail',
    '/options/rank/by',
    '/tasks/0',
  ])
  t.match(
    body.errors.find(({ path }: { path: string }) => path === '/options/partail').message,
    /; did you mean "partial"\? There is deadline_ms, gates, raw, partial, /,
  )
  const tensors = await predict({ sparse: [[0, 4, 28]], dense: [[0, 'x']], options: { rank: { by: 'cvt' } } })
  t.same(
    tensors.body.errors.map(({ path }: { path: string }) => path),
    ['/options/rank/by', '/dense/0/1'],
  )
  const nowhere = await predict({ model: 'nothing', context, candidates, options: { gates: 'yes' } })
  t.same([nowhere.status, nowhere.body.errors?.[0].path], [400, '/options/gates'])
})

t.test('an id may be a number, and comes back as it was sent', async (t) => {
  const ids = [7, '7', -1, Number.MAX_SAFE_INTEGER]
  const rank = { by: 'ctr', top_k: 3 }
  const price = [1, 2, 3, 4]
  const candidates = ids.map((id, i) => ({ ...ad, id, price: price[i] }))
  const byRow = await predict({ context, candidates })
  t.same(
    byRow.body.predictions.map(({ id }: { id: unknown }) => id),
    ids,
  )
  const columns = { campaign: ids.map(() => ad.campaign), price, id: ids }
  const byColumn = await predict({ context, candidates: columns })
  t.same(byColumn.body.predictions.id, ids)
  const ranked = await predict({ context, candidates, options: { rank } })
  t.equal(ranked.body.predictions.length, 3)
  for (const { id, index } of ranked.body.predictions) t.equal(id, ids[index])
  const rankedColumns = await predict({ context, candidates: columns, options: { rank } })
  t.same(
    rankedColumns.body.predictions.id,
    rankedColumns.body.predictions.index.map((index: number) => ids[index]),
  )
})

t.test('unknown values are reported for each candidate, if asked for', async (t) => {
  const unknownContext = { country: 'XX', hour: 21 }
  const candidates = [ad, { ...ad, price: 'x' }, ad]
  const options = { unknown: true, partial: true }
  const rows = await predict({ context: unknownContext, candidates, options })
  t.same(
    rows.body.predictions.map((prediction: any) => prediction?.unknown),
    [['country'], undefined, ['country']],
  )
  const columns = await predict({
    context: { hour: 21 },
    candidates: { campaign: ['a', 'b', 'c'], price: [1, 'x', 3], country: ['DE', 'XX', 'YY'] },
    options: { ...options, rank: { by: 'ctr' } },
  })
  const { unknown, index } = columns.body.predictions
  t.same(
    unknown,
    index.map((place: number) => (place === 2 ? ['country'] : [])),
  )
  const tensors = await predict({ sparse: [[0, 4, 28], [1, 4, 28]], dense: [[0, 1], [0, 1]], options }) // biome-ignore format: rows
  t.same(
    tensors.body.predictions.map((prediction: any) => prediction.unknown),
    [['country'], []],
  )
  // A default is not what the client sent.
  const missing = await predict({ context: { hour: 21, country: null }, candidates: [ad], options })
  t.same(missing.body.predictions[0].unknown, [])
  t.notOk('unknown' in (await predict({ context: unknownContext, candidates: [ad] })).body.predictions[0])
})
