import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Compile } from 'typebox/schema'
import { createDriftMonitor } from '../../../src/model/serving/drift/monitor.ts'
import { createEncoder } from '../../../src/model/serving/features/encoder.ts'
import { VersionDistributions, VersionRows } from '../../../src/schemas/model-versions.ts'
import { ModelDetails } from '../../../src/schemas/models.ts'
import { describeDistributions } from '../../../src/server/routes/model-versions.ts'
import { evaluationExample } from '../../../src/server/routes/models-docs.ts'
import { temporaryFolder, testFeatures, writeTestBundle } from '../../support/bundle.ts'
import { exampleManifest } from '../../support/fakes/manifest.ts'
import { logFields } from '../../support/log-fields.ts'
import { startTestServer } from '../../support/server.ts'

const models = await temporaryFolder(t)
const drift = {
  features: {
    country: { ids: [1, 3], shares: [0.5, 0.25, 0.25] },
    price: { edges: [0, Math.log(10)], shares: [0.25, 0.5, 0.25] },
  },
  tasks: { ctr: { edges: [0.5], shares: [0.5, 0.5] } },
}
await writeTestBundle(models, { manifest: { description: 'First', drift } })
await writeTestBundle(models, { version: '2', seed: 2, manifest: { description: 'Second' } })
await writeTestBundle(models, {
  name: 'secretive',
  manifest: { features: testFeatures.map((field) => (field.name === 'country' ? { ...field, log: 'drop' } : field)) },
})
const report = (text: string) => ({ files: { 'evaluation.json': Buffer.from(text) } })
await writeTestBundle(models, { name: 'judged', ...report(JSON.stringify(evaluationExample)) })
await writeTestBundle(models, { name: 'torn', ...report('{') })
await writeTestBundle(models, { name: 'strange', ...report(JSON.stringify({ ...evaluationExample, tasks: 'ctr' })) })
await writeTestBundle(models, { name: 'huge', ...report(`"${'x'.repeat(2 ** 20)}"`) })
await mkdir(join(models, 'ads', '3'))
await writeFile(join(models, 'ads', '3', 'manifest.json'), '{')
const server = await startTestServer(t, { models, registry: { defaultModel: 'ads', mode: 'all' } })
const get = async (url: string) => {
  const answer = await server.fastify.inject(url)
  return { status: answer.statusCode, body: answer.json() as any }
}
const predict = (country: string, price: number, version = '1') =>
  server.predict({ version, context: { country, hour: 1 }, candidates: [{ campaign: 'c', price }] })

t.test('every version that is loaded is described', async (t) => {
  const check = Compile(ModelDetails)
  for (const [version, description] of [
    ['1', 'First'],
    ['2', 'Second'],
  ] as const) {
    const { status, body } = await get(`/models/ads/versions/${version}`)
    t.equal(status, 200)
    t.ok(check.Check(body))
    t.match(body, { name: 'ads', default_version: '2', version, description })
    t.equal(body.versions.length, 3)
  }
  const { body: byModel } = await get('/models/ads')
  const { body: byVersion } = await get('/models/ads/versions/2')
  // The values of a vocabulary are the version's, too.
  const ofVersion = JSON.stringify(byModel).replaceAll('/models/ads/fields/', '/models/ads/versions/2/fields/')
  t.same(byVersion, JSON.parse(ofVersion))
})

t.test('a version that is not loaded is 404, with the reason', async (t) => {
  for (const path of ['', '/distributions', '/rows', '/evaluation']) {
    for (const [version, code, detail] of [
      ['ads/versions/3', 'VERSION_NOT_FOUND', /^Version 3 of ads failed to load: ads\/3\/manifest\.json is not JSON/],
      ['ads/versions/9', 'VERSION_NOT_FOUND', /^ads has no version 9; it has 3, 2, 1$/],
      ['ads/versions/..%2F1', 'VERSION_NOT_FOUND', /^ads has no version/],
      ['adz/versions/1', 'MODEL_NOT_FOUND', /did you mean "ads"/],
    ] as const) {
      const { status, body } = await get(`/models/${version}${path}`)
      t.same([status, body.code], [404, code], version)
      t.match(body.detail, detail)
    }
  }
})

t.test('distributions have the shares of then and now', async (t) => {
  const check = Compile(VersionDistributions)
  const { status, body: before } = await get('/models/ads/versions/1/distributions')
  t.equal(status, 200)
  t.ok(check.Check(before))
  t.same(
    before.fields.map(({ name }: any) => name),
    testFeatures.map(({ name }) => name),
  )
  t.match(before.fields[0], {
    name: 'country',
    psi: null,
    observations: 0,
    unknown: 0,
    bins: [
      { label: 'DE', value: 'DE', then: 0.5, now: 0 },
      { label: 'US', value: 'US', then: 0.25, now: 0 },
      { label: 'all other values', then: 0.25, now: 0 },
    ],
  })
  t.same(before.fields[1], { name: 'hour', reference: false, psi: null, observations: 0, bins: [], unknown: 0 })

  await predict('DE', 4)
  t.match(
    (await get('/models/ads/versions/1/distributions')).body.fields[0].bins,
    [{ now: 0 }, { now: 0 }, { now: 0 }],
    'of single requests nothing',
  )
  for (let i = 1; i < 375; i++) await predict('DE', 4)
  for (let i = 0; i < 125; i++) await predict('XX', 100)
  const { body: after } = await get('/models/ads/versions/1/distributions')
  t.match(after.fields[0], { observations: 500, unknown: 125, bins: [{ now: 0.75 }, { now: 0 }, { now: 0.25 }] })
  t.match(after.fields[3], { name: 'price', observations: 500, bins: [{ now: 0 }, { now: 0.75 }, { now: 0.25 }] })
  const [ctr] = after.tasks
  t.match(ctr, {
    name: 'ctr',
    observations: 500,
    bins: [
      { low: 0, high: 0.5 },
      { low: 0.5, high: 1 },
    ],
  })
  t.equal(ctr.bins[0].now + ctr.bins[1].now, 1)
})

t.test('an index is there once there are enough values', async (t) => {
  const candidates = [{ campaign: 'c', price: 4 }]
  for (let i = 0; i < 500; i++) await server.predict({ version: '1', context: { country: 'FR', hour: 1 }, candidates })
  const { body } = await get('/models/ads/versions/1/distributions')
  t.ok(body.fields[0].psi > 0.25)
  const [ads] = (await get('/models')).body.models
  const [, second, first] = ads.versions
  t.match(first.drift, { kind: /feature|task/, name: String, psi: Number })
  t.ok(first.drift.psi >= body.fields[0].psi, 'the largest of all')
  t.notOk('drift' in second, 'nothing is known of a version without a reference')
})

t.test('unknown values belong to their version; a version without a reference has no bins', async (t) => {
  await predict('YY', 1, '2')
  await predict('ZZ', 1, '2')
  const { body } = await get('/models/ads/versions/2/distributions')
  t.match(body.fields[0], { name: 'country', reference: false, bins: [], unknown: 2, psi: null })
  t.same(body.tasks, [])
})

t.test('values of bins can be sent', async (t) => {
  const { body } = await get('/models/ads/versions/1/distributions')
  const prices = body.fields[3].bins.map(({ value }: any) => value)
  t.equal(prices.length, 3)
  for (const price of prices) t.equal((await predict('DE', price)).status, 200, String(price))
})

t.test('a version has the report that it was published with', async (t) => {
  const { status, body } = await get('/models/judged/versions/1/evaluation')
  t.equal(status, 200)
  t.same(body, evaluationExample)
  t.equal((await get('/models/judged')).body.evaluated, true)
  t.notOk('evaluated' in (await get('/models/ads')).body)
  for (const [model, detail] of [
    ['ads', 'Version 1 of ads has no evaluation.json: it was published without a report'],
    ['torn', /^torn\/1\/evaluation\.json is not JSON: /],
    ['strange', /^strange\/1\/evaluation\.json is no report of multigate evaluate: \/tasks must be an array/],
    ['huge', 'huge/1/evaluation.json is larger than 1048576 bytes'],
  ] as const) {
    const { status, body } = await get(`/models/${model}/versions/1/evaluation`)
    t.same([status, body.code], [404, 'NOT_FOUND'], model)
    t.match(body.detail, detail)
  }
})

t.test('golden rows come by side, and are answered', async (t) => {
  const { body } = await get('/models/ads/versions/1/rows')
  t.ok(Compile(VersionRows).Check(body))
  t.same(body, {
    model: 'ads',
    version: '1',
    rows: [
      { context: { country: 'DE', hour: 21 }, candidate: { campaign: 'c9', price: 1.25 } },
      { context: { country: 'XX', hour: 0 }, candidate: { campaign: 'c1', price: 0, views: 4 } },
    ],
  })
  for (const { context, candidate } of body.rows)
    t.equal((await server.predict({ context, candidates: [candidate] })).status, 200)
})

t.test('fields that are not to be kept as they are, are not shown', async (t) => {
  const { body } = await get('/models/secretive/versions/1/rows')
  t.same(body.rows[0].context, { hour: 21 })
})

t.test(
  'a request that is not observed is no traffic: drift, unknown values and the mean do not count it',
  async (t) => {
    const statistics = async () => {
      const { body } = await get('/models/ads/versions/1/distributions')
      const { payload } = await server.fastify.inject('/metrics')
      const mean = /multigate_prediction_mean\{model="ads",version="1",task="ctr"\} \S+/.exec(payload)?.[0]
      return [body.fields.map(({ observations, unknown }: any) => [observations, unknown]), mean]
    }
    const unknown = {
      version: '1',
      context: { country: 'nowhere', hour: 1 },
      candidates: [{ campaign: 'c', price: 3 }],
    }
    t.equal((await server.predict(unknown)).status, 200)
    const before = await statistics()
    for (const options of [{ observe: false }, { observe: false, gates: true, unknown: true }])
      t.equal((await server.predict({ ...unknown, options })).status, 200)
    t.same(await statistics(), before)
    t.equal((await server.predict({ ...unknown, options: { observe: true } })).status, 200)
    t.notSame(await statistics(), before)
  },
)

t.test('a list has its values, and how many there are, a vector neither', async (t) => {
  const encoder = createEncoder(logFields)
  const item = encoder.layout.byName.get('item')!.encoder.encode('a') as number
  const drift = {
    features: { history: { ids: [item], shares: [0.5, 0.5] } },
    lengths: { history: { edges: [0, 2], shares: [0.5, 0.5, 0] } },
    tasks: {},
  }
  const monitor = createDriftMonitor(drift, encoder.layout)
  const context = { user: 1, history: ['a', 'b'], ages: [1, 2] }
  const candidates = [{ item: 'a', image: [0, 1], price: 1 }]
  const encoded = encoder.rows(context, candidates, { maxRows: 1, partial: false })
  const table = { requested: 1, index: undefined, scores: undefined, tasks: [], problems: [] }
  for (let i = 0; i < 600; i++) monitor.observe(encoded, { ...table, raw: undefined, gates: undefined, ids: undefined })
  const manifest = { ...exampleManifest(), features: logFields, drift }
  const { fields } = describeDistributions(
    { manifest, encoder, observed: () => monitor.observed() },
    { counted: [], unknown: new Map() },
  )
  const [, history, ages, , , image] = fields
  t.match(history, {
    observations: 1200,
    bins: [
      { label: 'a', now: 0.5 },
      { label: 'all other values', now: 0.5 },
    ],
    lengths: {
      observations: 600,
      bins: [
        { label: '0', then: 0.5, now: 0 },
        { label: '1 to 2', then: 0.5, now: 1 },
        { label: '3 or more', then: 0, now: 0 },
      ],
    },
  })
  t.ok(history!.lengths!.psi! > 0.25)
  t.notOk('name' in history!.lengths!)
  t.same([ages!.reference, ages!.lengths, image!.reference], [false, undefined, false])
})
