import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Compile } from 'typebox/compile'
import { FieldValues, ModelDetails, ModelList } from '../../../src/schemas/models.ts'
import { multiGateOptions, temporaryFolder, testFeatures, writeTestBundle } from '../../support/bundle.ts'
import { startTestServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
const quality = {
  ctr: { rows: 1000, positives: 30, auc: 0.71, logloss: 0.2, normalised_entropy: 0.9, calibration_ratio: 1.01 },
}
await writeTestBundle(models, { manifest: { description: 'Ads of a test' } })
const shares = [0.25, 0.5, 0.25]
const drift = { features: { price: { edges: [0, Math.log(10)], shares } }, tasks: {} }
await writeTestBundle(models, { version: '3', seed: 3, manifest: { drift } })
await writeTestBundle(models, { name: 'other', seed: 2 })
await mkdir(join(models, 'broken', '2'), { recursive: true })
await writeFile(join(models, 'broken', '2', 'manifest.json'), '{')
await mkdir(join(models, 'empty'))
await writeFile(join(models, 'ads', 'labels.json'), JSON.stringify({ canary: '3', stable: '1' }))
const server = await startTestServer(t, { models, registry: { defaultModel: 'ads' } })
const get = async (url: string) => {
  const answer = await server.fastify.inject(url)
  return { status: answer.statusCode, headers: answer.headers, body: answer.json() as any }
}
const listCheck = Compile(ModelList)
const detailsCheck = Compile(ModelDetails)
const valuesCheck = Compile(FieldValues)

t.test('the list has every model of the folder, with the state of its versions', async (t) => {
  const { status, headers, body } = await get('/models')
  t.equal(status, 200)
  t.match(headers['content-type'], /^application\/json/)
  t.ok(listCheck.Check(body))
  t.same(
    body.models.map((model: any) => [model.name, model.default, model.versions.length]),
    [
      ['ads', true, 2],
      ['broken', false, 1],
      ['empty', false, 0],
      ['other', false, 1],
    ],
  )
  const [ads, broken, , other] = body.models
  const ready = { state: 'ready', engine: 'onnx', precision: 'float32' }
  t.same(ads.labels, { canary: '3', stable: '1' })
  t.same(ads.versions, [
    { version: '3', ...ready },
    { version: '1', ...ready },
  ])
  t.same(other.versions, [{ version: '1', ...ready }])
  t.match(broken.versions, [{ version: '2', state: 'failed', error: /^broken\/2\/manifest\.json is not JSON/ }])
  t.notOk('engine' in broken.versions[0])
})

t.test('a model is described by the version that answers now', async (t) => {
  const { status, body } = await get('/models/ads')
  t.equal(status, 200)
  t.ok(detailsCheck.Check(body))
  t.equal(body.version, '3')
  t.same(body.architecture, multiGateOptions)
  t.same(body.fields, [
    {
      name: 'country',
      side: 'context',
      kind: 'vocabulary',
      type: 'string',
      required: false,
      missing: 'default',
      default: 'US',
      out_of_vocabulary: 'bucket',
      values: { count: 3, first: ['DE', 'FR', 'US'], path: '/models/ads/fields/country/values' },
      // One id for unknown values, then the known ones.
      encoding: { ids: [0, 3] },
    },
    {
      name: 'hour',
      side: 'context',
      kind: 'integer',
      type: 'integer',
      required: true,
      missing: 'error',
      out_of_vocabulary: 'error',
      minimum: 0,
      maximum: 23,
      encoding: { ids: [4, 27] },
    },
    {
      name: 'campaign',
      side: 'candidate',
      kind: 'hash',
      type: 'string',
      required: true,
      missing: 'error',
      encoding: { ids: [28, 77], hash: 'murmur3', buckets: 50, seed: 7 },
    },
    {
      name: 'price',
      side: 'candidate',
      kind: 'numeric',
      type: 'number',
      required: true,
      missing: 'error',
      exclusive_minimum: -1,
      usual: body.fields[3].usual,
      encoding: { scaling: { method: 'log1p', scale: 1 } },
    },
    {
      name: 'views',
      side: 'cross',
      kind: 'numeric',
      type: 'number',
      required: false,
      missing: 'default',
      default: 0,
      encoding: { scaling: { method: 'standard', mean: 2, deviation: 3 } },
    },
  ])
  t.equal(body.fields.length, testFeatures.length)
  const [low, high] = body.fields[3].usual
  t.same([low, high], [0, 9], 'as a client sends them, without the noise of float32')
  const { example } = body
  t.same(
    [Object.keys(example.context), Object.keys(example.candidates[0])],
    [
      ['country', 'hour'],
      ['campaign', 'price'],
    ],
  )
  t.equal((await server.predict(example)).status, 200)
  t.same(body.tasks, [
    { name: 'ctr', description: 'Click', gate: true },
    {
      name: 'cvr',
      description: 'Conversion, given a click',
      calibration: { method: 'platt', a: 0.9, b: -0.3 },
      gate: true,
    },
    { name: 'ctcvr', product: ['ctr', 'cvr'] },
  ])
  t.same(body.plan, {
    engine: 'onnx',
    graph: 'layers',
    workers: 1,
    max_batch_rows: 64,
    precision: 'float32',
    tables: 'float32',
    compiled: false,
    compile_seconds: 0,
    split_by_side: false,
    notes: [],
  })
})

t.test('a model without a version that answers is described by its status', async (t) => {
  for (const [name, versions] of [
    ['broken', 1],
    ['empty', 0],
  ] as const) {
    const { status, body } = await get(`/models/${name}`)
    t.equal(status, 200)
    t.ok(detailsCheck.Check(body))
    t.equal(body.versions.length, versions)
    t.notOk('fields' in body)
    t.notOk('version' in body)
  }
})

t.test('a model that does not exist is 404, with the name that was probably meant', async (t) => {
  const { status, body } = await get('/models/oter')
  t.same([status, body.code], [404, 'MODEL_NOT_FOUND'])
  const detail = 'There is no model called "oter"; did you mean "other"? The folder has ads, broken, empty, other'
  t.equal(body.detail, detail)
  const asked = await server.predict({ model: 'oter', context: { hour: 1 } })
  t.same([asked.status, asked.body.detail], [404, detail])
})

t.test('a vocabulary is listed in pages', async (t) => {
  const page = async (query: string) => (await get(`/models/ads/fields/country/values${query}`)).body
  const all = await page('')
  t.ok(valuesCheck.Check(all))
  t.same(all, { model: 'ads', version: '3', field: 'country', total: 3, offset: 0, values: ['DE', 'FR', 'US'] })
  t.same((await page('?offset=1&limit=1')).values, ['FR'])
  t.same((await page('?offset=99')).values, [])
})

t.test('a version has its own vocabulary, to which its description leads', async (t) => {
  const models = await temporaryFolder(t)
  const features = testFeatures.map((field) =>
    field.name === 'country' ? ({ ...field, values: ['DE', 'US', 'NL'] } as typeof field) : field,
  )
  await writeTestBundle(models, { manifest: { features } })
  await writeTestBundle(models, { version: '2' })
  const { fastify } = await startTestServer(t, { models, registry: { mode: 'all' } })
  const valuesOf = async (path: string) => {
    const { fields } = (await fastify.inject(path)).json()
    const listed = await fastify.inject(fields[0].values.path)
    return [listed.json().version, listed.json().values]
  }
  t.same(await valuesOf('/models/ads'), ['2', ['DE', 'FR', 'US']])
  t.same(await valuesOf('/models/ads/versions/1'), ['1', ['DE', 'US', 'NL']])
  const missing = await fastify.inject('/models/ads/versions/9/fields/country/values')
  t.same([missing.statusCode, missing.json().code], [404, 'VERSION_NOT_FOUND'])
})

t.test('pages have bounds', async (t) => {
  for (const query of [
    '?limit=0',
    '?limit=1001',
    '?offset=-1',
    '?limit=x',
    '?offset=1.5',
    '?limit=Infinity',
    '?offset=1e999',
    '?limit=',
    '?limit=1&limit=2',
  ]) {
    const { status, body } = await get(`/models/ads/fields/country/values${query}`)
    t.same([status, body.code], [400, 'INVALID_REQUEST'], query)
    t.match(body.detail, /offset|limit/, query)
  }
})

t.test('every problem of a query string is listed with its parameter', async (t) => {
  const { status, body } = await get('/models/ads/fields/country/values?limit=abc&offset=-1&limt=5')
  t.same([status, body.code], [400, 'INVALID_REQUEST'])
  t.same(body.errors, [
    { path: '?offset', message: 'must be a whole number from 0 to 9007199254740991' },
    { path: '?limit', message: 'must be a whole number from 1 to 1000' },
    {
      path: '?limt',
      message: 'is not a parameter of this path; did you mean "limit"? It takes offset, limit',
    },
  ])
})

t.test('what has no list of values is 404', async (t) => {
  for (const [path, code, detail] of [
    ['ads/fields/contry', 'NOT_FOUND', /ads has no field of this name; did you mean "country"\?/],
    ['ads/fields/price', 'NOT_FOUND', /price is a numeric field of ads, .*have one: country$/],
    ['nothing/fields/country', 'MODEL_NOT_FOUND', /nothing/],
  ] as const) {
    const { status, body } = await get(`/models/${path}/values`)
    t.same([status, body.code], [404, code], path)
    t.match(body.detail, detail, path)
  }
})

t.test('asking a model that is broken says why, as its status does', async (t) => {
  const broken = await server.predict({ model: 'broken', context: { hour: 1 } })
  t.same([broken.status, broken.body.code], [503, 'NOT_READY'])
  const [{ error }] = (await get('/models/broken')).body.versions
  t.match(error, /^broken\/2/, 'the path of the file begins below the models folder')
  t.equal(broken.body.detail, `broken can't answer: version 2 failed: ${error}`)
  t.match((await get('/v1/models/broken')).body.model_version_status[0].status, { error_message: error })
  const empty = await server.predict({ model: 'empty', context: { hour: 1 } })
  t.same([empty.status, empty.body.code], [503, 'NOT_READY'])
  t.match(empty.body.detail, /has no version/)
})

t.test('quality, description and what comes and goes', async (t) => {
  await writeTestBundle(models, { version: '12', seed: 12, manifest: { description: 'Newest', quality } })
  await rm(join(models, 'other'), { recursive: true })
  await rm(join(models, 'broken'), { recursive: true })
  await server.registry.reconcile()
  const { body } = await get('/models/ads')
  t.same([body.version, body.description, body.quality], ['12', 'Newest', quality])
  const aucs = Object.fromEntries(Object.entries(quality).map(([task, { auc }]) => [task, auc]))
  t.same((await get('/models')).body.models[0].versions[0].auc, aucs)
  const unloaded = () =>
    server.events.some(({ type, ...event }) => type === 'unloaded' && 'name' in event && event.name === 'other')
  await until(unloaded)
  t.same(
    (await get('/models')).body.models.map(({ name }: any) => name),
    ['ads', 'empty'],
  )
  t.equal((await get('/models/other')).status, 404)
})
