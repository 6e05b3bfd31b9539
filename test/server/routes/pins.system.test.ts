import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { startTestServer } from '../../support/server.ts'

type Test = Parameters<typeof startTestServer>[0]

async function start(t: Test, options: { admin?: boolean } = {}) {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  await writeTestBundle(models, { version: '2', seed: 2 })
  const server = await startTestServer(t, { models, admin: true, ...options })
  const post = async (path: string, payload?: string | object, headers = {}) => {
    const answer = await server.fastify.inject({
      method: 'POST',
      url: `/models/${path}`,
      headers: { ...(payload === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(payload === undefined ? {} : { payload }),
    })
    return { status: answer.statusCode, body: answer.json() as any }
  }
  const serving = async () =>
    (await server.predict({ context: { hour: 1 }, candidates: [{ campaign: 'c', price: 1 }] })).body.version
  const labels = join(models, 'ads', 'labels.json')
  return { models, server, post, serving, labels }
}

t.test('a version is pinned, and answers when the response is there; and the highest one again', async (t) => {
  const { server, post, serving, labels } = await start(t)
  t.equal((await server.fastify.inject('/models')).json().administration, true)
  t.equal(await serving(), '2')
  const pinned = await post('ads/pin', { version: '1' })
  t.equal(pinned.status, 200)
  t.match(pinned.body, { name: 'ads', pin: '1', default_version: '1' })
  t.equal(await serving(), '1')
  t.same(JSON.parse(await readFile(labels, 'utf8')), { $pin: '1' })
  const unpinned = await post('ads/unpin')
  t.equal(unpinned.status, 200)
  t.match(unpinned.body, { default_version: '2' })
  t.notOk('pin' in unpinned.body)
  t.equal(await serving(), '2')
  t.equal((await post('ads/unpin')).status, 200, 'without a pin nothing changes')
})

t.test('a pin beside entries that make all of them ineffective is taken back, and says why', async (t) => {
  const { post, serving, labels } = await start(t)
  await writeFile(labels, '{"stable": 7}')
  const { status, body } = await post('ads/pin', { version: '1' })
  t.match([status, body.code, body.detail], [503, 'NOT_READY', /has no effect: .*labels\.json/])
  t.same(JSON.parse(await readFile(labels, 'utf8')), { stable: 7 })
  t.equal(await serving(), '2')
})

t.test('without administration nothing changes', async (t) => {
  const { server, post, serving } = await start(t, { admin: false })
  t.equal((await server.fastify.inject('/models')).json().administration, false)
  for (const action of ['pin', 'unpin']) {
    const { status, body } = await post(`ads/${action}`, { version: '1' })
    t.same([status, body.code], [403, 'FORBIDDEN'])
    t.match(body.detail, /MULTIGATE_ADMIN=true/)
  }
  t.equal(await serving(), '2')
})

t.test('pages of other origins pin nothing', async (t) => {
  const { post, serving } = await start(t)
  const { status } = await post('ads/pin', { version: '1' }, { origin: 'https://elsewhere.example' })
  t.equal(status, 403)
  t.equal(await serving(), '2')
})

t.test('wrong requests say what is wrong', async (t) => {
  const { post, serving } = await start(t)
  for (const [path, payload, status, code, detail] of [
    ['ads/pin', { version: '9' }, 404, 'VERSION_NOT_FOUND', 'ads has no version 9; it has 1, 2'],
    ['adz/pin', { version: '1' }, 404, 'MODEL_NOT_FOUND', /did you mean "ads"/],
    ['..%2Fads/pin', { version: '1' }, 404, 'MODEL_NOT_FOUND', /There is no model/],
    ['adz/unpin', undefined, 404, 'MODEL_NOT_FOUND', /did you mean "ads"/],
    ['ads/pin', { version: 1 }, 400, 'INVALID_REQUEST', /\/version must be a string/],
    ['ads/pin', { version: '../1' }, 400, 'INVALID_REQUEST', /\/version/],
    ['ads/pin', {}, 400, 'INVALID_REQUEST', /version/],
    ['ads/pin', { version: '1', force: true }, 400, 'INVALID_REQUEST', /force/],
    ['ads/pin', '{', 400, 'INVALID_REQUEST', /must be JSON/],
    ['ads/pin', { version: '1'.repeat(2000) }, 413, 'BODY_TOO_LARGE', /./],
  ] as const) {
    const answer = await post(path, payload)
    t.same([answer.status, answer.body.code], [status, code], `${path} ${JSON.stringify(payload)?.slice(0, 40)}`)
    t.match(answer.body.detail, detail)
  }
  t.equal(await serving(), '2')
})

t.test('a version that failed is not pinned', async (t) => {
  const { models, server, post, serving, labels } = await start(t)
  await mkdir(join(models, 'ads', '3'))
  await writeFile(join(models, 'ads', '3', 'manifest.json'), '{')
  await server.registry.reconcile()
  const { status, body } = await post('ads/pin', { version: '3' })
  t.same([status, body.code], [503, 'NOT_READY'])
  t.match(body.detail, /^Version 3 of ads failed to load and was not pinned: ads\/3\/manifest\.json is not JSON/)
  t.equal(await serving(), '2')
  await t.rejects(readFile(labels), { code: 'ENOENT' })
})

t.test('a version that fails when it is loaded is pinned no longer; the former pin is back', async (t) => {
  const { models, post, serving, labels } = await start(t)
  await writeTestBundle(models, { version: '3', seed: 3 })
  await post('ads/pin', { version: '2' })
  await rm(join(models, 'ads', '1', 'model.json'))
  const { status, body } = await post('ads/pin', { version: '1' })
  t.same([status, body.code], [503, 'NOT_READY'])
  t.match(body.detail, /^Version 1 of ads failed to load and is not pinned; version 2 is again: /)
  t.same(JSON.parse(await readFile(labels, 'utf8')), { $pin: '2' })
  t.equal(await serving(), '2')
})

t.test('labels that can not be read or written are an error that says so', async (t) => {
  const { post, serving, labels } = await start(t)
  await writeFile(labels, '{')
  const damaged = await post('ads/pin', { version: '1' })
  t.same([damaged.status, damaged.body.code], [403, 'FORBIDDEN'])
  t.match(damaged.body.detail, /^The pin can't be changed: ads\/labels\.json is not JSON/)
  t.equal(await serving(), '2')
})

const root = process.getuid?.() === 0 && 'the administrator of the machine may write anything'
t.test('a read-only folder is an error that says so', { skip: root }, async (t) => {
  const { models, post } = await start(t)
  await chmod(join(models, 'ads'), 0o500)
  const { status, body } = await post('ads/pin', { version: '1' })
  await chmod(join(models, 'ads'), 0o700)
  t.same([status, body.code], [403, 'FORBIDDEN'])
  t.match(body.detail, /^The pin can't be changed: ads\/labels\.json can't be changed: /)
})

t.test('of two changes at a time the later one counts', async (t) => {
  const { post, serving } = await start(t)
  const answers = await Promise.all([
    post('ads/pin', { version: '1' }),
    post('ads/unpin'),
    post('ads/pin', { version: '1' }),
  ])
  t.same(
    answers.map(({ body }) => body.pin),
    ['1', undefined, '1'],
  )
  t.equal(await serving(), '1')
})
