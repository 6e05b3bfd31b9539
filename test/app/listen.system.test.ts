import { once } from 'node:events'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type RunningServer, serve } from '../../src/app/listen.ts'
import { readConfiguration } from '../../src/base/configuration.ts'
import type { Configuration } from '../../src/schemas/configuration.ts'
import { temporaryFolder, testFeatures, writeTestBundle } from '../support/bundle.ts'
import { until } from '../support/until.ts'

const one = { context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] }

async function start(t: Test, models: string, changes: Partial<Configuration> = {}): Promise<RunningServer> {
  const { configuration } = readConfiguration({}, {})
  const server = await serve({
    ...configuration,
    MULTIGATE_PORT: 0,
    MULTIGATE_MODELS: models,
    MULTIGATE_ENGINE: 'onnx',
    MULTIGATE_WORKERS: 1,
    MULTIGATE_POLL_SECONDS: 0.02,
    // However slow the machine, nothing is refused because it would be late.
    MULTIGATE_DEADLINE_MS: 60_000,
    MULTIGATE_DRAIN_DELAY_MS: 0,
    MULTIGATE_WARM_UP_MS: 0,
    MULTIGATE_LOG_LEVEL: 'silent' as never,
    ...changes,
  })
  t.teardown(() => server.close())
  return server
}

interface Asked {
  status: number
  /** The header. */
  retryAfter: string | null
  body: any
}

/** `by`: a body in chunks has no length, and so does not take the fast path. */
async function ask(server: RunningServer, path: string, body?: unknown, by?: 'chunks'): Promise<Asked> {
  const answer = await fetch(
    `${server.url}${path}`,
    body === undefined
      ? {}
      : {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          ...(by
            ? { body: new Blob([JSON.stringify(body)]).stream(), duplex: 'half' }
            : { body: JSON.stringify(body) }),
        },
  )
  const text = await answer.text()
  const retryAfter = answer.headers.get('retry-after')
  return { status: answer.status, retryAfter, body: path === '/metrics' ? text : JSON.parse(text) }
}

t.test('it starts without any model, says so, and takes one that comes', async (t) => {
  const models = await temporaryFolder(t)
  const server = await start(t, models)
  t.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/)
  t.equal((await ask(server, '/livez')).status, 200)
  const early = await ask(server, '/readyz')
  t.match(early, { status: 503, body: { reasons: [/there is no model|folder is being read/] } })
  await server.loaded
  t.match(await ask(server, '/readyz'), {
    status: 503,
    body: { status: 'unavailable', reasons: ['there is no model in the folder'] },
  })
  t.match(await ask(server, '/predict', one), { status: 503, body: { code: 'NOT_READY' } })
  t.same((await ask(server, '/models')).body, { models: [], administration: false })
  await writeTestBundle(models)
  await until(async () => (await ask(server, '/readyz')).status === 200)
  t.equal((await ask(server, '/predict', one)).status, 200)
})

t.test('a folder that does not exist ends the start, unless it is to be waited for', async (t) => {
  const folder = join(await temporaryFolder(t), 'later')
  await t.rejects(start(t, folder), {
    message: `the models folder ${folder} doesn't exist; --models (MULTIGATE_MODELS) names another (--models models serves the models of this package), --wait-for-models (MULTIGATE_WAIT_FOR_MODELS) waits for it`,
  })
  await writeFile(`${folder}.txt`, '')
  await t.rejects(start(t, `${folder}.txt`), { message: /can't be read: ENOTDIR: not a directory;/ })
  await t.rejects(start(t, folder, { MULTIGATE_WAIT_FOR_MODELS: true, MULTIGATE_POLL_SECONDS: 0 }), {
    message: /MULTIGATE_POLL_SECONDS above 0/,
  })
  const server = await start(t, folder, { MULTIGATE_WAIT_FOR_MODELS: true })
  await server.loaded
  t.same((await ask(server, '/readyz')).body.reasons, [
    "the models folder can't be read: it is missing",
    'there is no model in the folder',
  ])
  const infer = { inputs: [{ name: 'price', datatype: 'FP64', shape: [1], data: [1.25] }] }
  const predictions: [string, unknown][] = [
    ['/predict', one],
    ['/predict', { ...one, model: 'ads' }],
    ['/v2/models/ads/infer', infer],
    ['/v2/models/ads/versions/1/infer', infer],
    ['/v1/models/ads:predict', { instances: [{ price: 1.25 }] }],
    ['/v1/models/ads/versions/1:predict', { instances: [{ price: 1.25 }] }],
  ]
  const descriptions = ['/models/ads', '/models/ads/versions/1', '/models/ads/fields/country/values']
  const ofOthers = ['/v1/models/ads', '/v1/models/ads/metadata', '/v2/models/ads', '/v2/models/ads/ready']
  const ofAll = async () => [
    ...(await Promise.all(predictions.map(([path, body]) => ask(server, path, body)))),
    ...(await Promise.all(predictions.map(([path, body]) => ask(server, path, body, 'chunks')))),
    ...(await Promise.all([...descriptions, ...ofOthers].map((path) => ask(server, path)))),
  ]
  for (const { status, retryAfter, body } of await ofAll()) {
    t.same([status, retryAfter], [503, '1'])
    t.equal(body.detail ?? body.error, 'The models folder has not been read yet')
  }
  await mkdir(folder)
  await until(async () => (await ask(server, '/models/ads')).status === 404)
  t.same(new Set((await ofAll()).slice(1, 6).map(({ status }) => status)), new Set([404]))
  await writeTestBundle(folder)
  await until(async () => (await ask(server, '/readyz')).status === 200)
})

t.test('a new version replaces the old under load, and no request fails', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const server = await start(t, models)
  await server.loaded
  const answers: { status: number; body: any }[] = []
  let going = true
  const clients = Array.from({ length: 6 }, async () => {
    while (going) answers.push(await ask(server, '/predict', one))
  })
  const byVersion = (version: string) => answers.filter(({ body }) => body.version === version)
  await until(() => byVersion('1').length > 20)
  await writeTestBundle(models, { version: '2', seed: 2 })
  await until(() => byVersion('2').length > 20)
  const stateOf = async (version: string) =>
    (await ask(server, '/models')).body.models[0].versions.find((one: any) => one.version === version).state
  await until(async () => (await stateOf('1')) === 'not_loaded')
  going = false
  await Promise.all(clients)

  t.same(
    answers.filter(({ status }) => status !== 200),
    [],
  )
  const versions = answers.map(({ body }) => body.version)
  const last = (await ask(server, '/predict', one)).body
  t.equal(last.version, '2')
  t.ok(versions.lastIndexOf('1') < versions.length - 1)
  // Each version answers with its own weights, before the change and after.
  for (const version of ['1', '2']) {
    const values = byVersion(version).map(({ body }) => body.predictions[0].ctr)
    t.ok(values.every((value) => Math.abs(value - values[0]) < 1e-6))
  }
  t.ok(Math.abs(byVersion('1')[0]!.body.predictions[0].ctr - last.predictions[0].ctr) > 1e-4)
  await until(async () => !(await ask(server, '/metrics')).body.includes('version="1"'))
  t.match((await ask(server, '/metrics')).body, /multigate_requests_total\{model="ads",version="2",outcome="ok"\} \d+/)
})

t.test('broken versions are reported, and good ones serve', async (t) => {
  const models = await temporaryFolder(t)
  const manifestOf = (name: string, version = '1') => join(models, name, version, 'manifest.json')
  const edit = async (name: string, change: (manifest: any) => void) => {
    const manifest = JSON.parse(await readFile(manifestOf(name), 'utf8'))
    change(manifest)
    await writeFile(manifestOf(name), JSON.stringify(manifest))
  }
  const golden = await writeTestBundle(models)
  for (const name of ['not-json', 'not-valid', 'no-file', 'damaged', 'answers', 'fields', 'outside', 'renamed'])
    await cp(join(models, 'ads'), join(models, name), { recursive: true })
  await writeFile(manifestOf('not-json'), '{"manifest": 1,')
  await edit('not-valid', (manifest) => {
    manifest.name = 'not-valid'
    manifest.features[0].kind = 'embedding'
  })
  const { files } = JSON.parse(await readFile(manifestOf('ads'), 'utf8')) as { files: Record<string, string> }
  const weights = Object.keys(files).find((file) => file !== 'model.json')!
  await edit('no-file', (manifest) => {
    manifest.name = 'no-file'
  })
  await rm(join(models, 'no-file', '1', weights))
  await edit('damaged', (manifest) => {
    manifest.name = 'damaged'
  })
  await writeFile(join(models, 'damaged', '1', weights), 'other bytes')
  await edit('answers', (manifest) => {
    manifest.name = 'answers'
    manifest.golden.probabilities[1][0] += 0.01
  })
  await edit('fields', (manifest) => {
    manifest.name = 'fields'
    delete manifest.golden
    manifest.features.push({ ...manifest.features[4], name: 'another' })
  })
  await edit('outside', (manifest) => {
    manifest.name = 'outside'
    manifest.files['../../ads/1/model.json'] = manifest.files['model.json']
  })
  await mkdir(join(models, 'nothing', '1'), { recursive: true })
  // A version that is broken beside a good, lower one.
  await mkdir(join(models, 'ads', '2'))
  await writeFile(manifestOf('ads', '2'), '[]')

  const server = await start(t, models, { MULTIGATE_DEFAULT_MODEL: 'ads' })
  await server.loaded
  t.equal((await ask(server, '/readyz')).status, 200)
  const versionOf = async (name: string, version: string) => {
    const { body } = await ask(server, '/models')
    const model = body.models.find((model: any) => model.name === name)
    return model?.versions.find((entry: any) => entry.version === version)
  }
  // A file that is missing is looked for again: the version is loading meanwhile.
  const failureOf = async (name: string, version = '1') => {
    let found = await versionOf(name, version)
    while (found?.state !== 'failed') found = await versionOf(name, version)
    return found
  }
  for (const [name, reason] of [
    ['not-json', /^not-json\/1\/manifest\.json is not JSON: /],
    ['not-valid', /^not-valid\/1\/manifest\.json: \/features\/0/],
    ['no-file', new RegExp(`^no-file/1/${weights} can't be read: it is missing`)],
    ['damaged', new RegExp(`^damaged/1/${weights} is damaged: its SHA-256 is [0-9a-f]{64}`)],
    ['answers', /^answers\/1\/manifest\.json: golden row 1 differs: ctr should be/],
    ['fields', /^fields\/1\/model\.json doesn't fit its manifest: its input dense is 2 wide, but there are 3/],
    ['outside', /^outside\/1\/\.\.\/\.\.\/ads\/1\/model\.json leads out of its folder/],
    ['renamed', /^renamed\/1\/manifest\.json: \/name is "ads", but the folder is called renamed/],
    ['nothing', /^nothing\/1\/manifest\.json can't be read: it is missing/],
  ] as const) {
    t.match(await failureOf(name), { state: 'failed', error: reason }, name)
    const answer = await ask(server, '/predict', { ...one, model: name })
    t.match(answer, { status: 503, body: { code: 'NOT_READY' } }, name)
  }
  t.match(await failureOf('ads', '2'), { state: 'failed', error: /^ads\/2\/manifest\.json: / })
  const answer = await ask(server, '/predict', { candidates: golden.golden!.rows, options: { raw: true } })
  t.match(answer, { status: 200, body: { model: 'ads', version: '1' } })
  t.ok(Math.abs(answer.body.predictions[0].raw.ctr - golden.golden!.probabilities[0]![0]!) < 1e-5)

  // Mended, it is taken.
  await edit('answers', (manifest) => {
    manifest.golden.probabilities[1][0] -= 0.01
  })
  await until(async () => (await ask(server, '/predict', { ...one, model: 'answers' })).status === 200)
})

t.test('a port in use is said, and nothing is left running', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as { port: number }
  await t.rejects(start(t, await temporaryFolder(t), { MULTIGATE_PORT: port }), {
    code: 'EADDRINUSE',
    message: new RegExp(`${port}`),
  })
})

t.test('both engines answer the same', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const [onnx, tensorflow] = await Promise.all([start(t, models), start(t, models, { MULTIGATE_ENGINE: 'tensorflow' })])
  await Promise.all([onnx.loaded, tensorflow.loaded])
  const engineOf = async (server: RunningServer) => (await ask(server, '/models/ads')).body.versions[0].engine
  t.equal(await engineOf(onnx), 'onnx')
  t.match(await engineOf(tensorflow), /^tensorflow/)
  const body = {
    context: { country: 'FR', hour: 3 },
    candidates: Array.from({ length: 300 }, (_, i) => ({ campaign: `c${i}`, price: i / 7, views: i % 11 })),
    options: { gates: true, raw: true },
  }
  const [left, right] = await Promise.all([ask(onnx, '/predict', body), ask(tensorflow, '/predict', body)])
  t.same([left.status, right.status], [200, 200])
  const numbersOf = (answer: any) =>
    answer.body.predictions.flatMap(({ ctr, cvr, ctcvr, raw, gates }: any) => [
      ctr,
      cvr,
      ctcvr,
      raw.ctr,
      raw.cvr,
      ...gates.ctr,
      ...gates.cvr,
    ])
  const [expected, actual] = [numbersOf(left), numbersOf(right)]
  t.equal(actual.length, 300 * 11)
  const furthest = Math.max(...actual.map((value: number, i: number) => Math.abs(value - expected[i])))
  t.ok(furthest <= 1e-5, `furthest apart: ${furthest}`)
  t.equal(testFeatures.length, 5)
})

t.test('several models and versions side by side, by label', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  await writeTestBundle(models, { version: '2', seed: 2 })
  await writeFile(join(models, 'ads', 'labels.json'), '{"stable": "1"}')
  const server = await start(t, models, { MULTIGATE_VERSIONS: 'all' })
  await server.loaded
  const versionOf = async (more: object) => (await ask(server, '/predict', { ...one, ...more })).body.version
  t.same(
    [await versionOf({}), await versionOf({ version: '1' }), await versionOf({ label: 'stable' })],
    ['2', '1', '1'],
  )
  await writeFile(join(models, 'ads', 'labels.json'), '{"stable": "2"}')
  await until(async () => (await versionOf({ label: 'stable' })) === '2')
})

t.test('closing is idempotent, and frees the port', async (t) => {
  const server = await start(t, await temporaryFolder(t))
  await server.loaded
  const [first, second] = [server.close(), server.close()]
  t.equal(first, second)
  await first
  await t.rejects(ask(server, '/livez'))
})
