import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { errorOf } from '../../../support/infer-body.ts'
import { startTestServer } from '../../../support/server.ts'
import { until } from '../../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
await writeTestBundle(models, { name: 'other' })
await writeTestBundle(models, { name: 'other', version: '2', seed: 2 })
await writeFile(join(models, 'other/2/model.json'), '{}')
const server = await startTestServer(t, { models, admin: true, registry: { defaultModel: 'ads' } })
const { fastify } = server

async function post(url: string, payload?: string | Buffer | object, headers: Record<string, string> = {}) {
  const answer = await fastify.inject({ method: 'POST', url, headers, ...(payload === undefined ? {} : { payload }) })
  return { status: answer.statusCode, headers: answer.headers, bytes: answer.rawPayload, text: answer.payload }
}
const index = async (body?: object) => JSON.parse((await post('/v2/repository/index', body)).text)

t.test('the index is every version in the folder, and its state', async (t) => {
  const all = await index()
  t.match(all, [
    { name: 'ads', version: '1', state: 'READY', reason: '' },
    { name: 'other', version: '2', state: 'UNAVAILABLE', reason: /model\.json/ },
    { name: 'other', version: '1', state: 'READY', reason: '' },
  ])
  t.equal(all.length, 3)
  for (const body of [{}, { ready: false }, { ready: null, repository_name: 'x' }]) t.same(await index(body), all)
  t.same(
    (await index({ ready: true })).map(({ name, version }: any) => `${name}/${version}`),
    ['ads/1', 'other/1'],
  )
  const empty = await post('/v2/repository/index', undefined, { 'content-length': '0' })
  t.same(JSON.parse(empty.text), all, 'as a body of no bytes')
})

t.test('a model is unloaded, stays so, and is loaded', async (t) => {
  const unload = await post('/v2/repository/models/ads/unload', { parameters: { unload_dependents: false } })
  t.same([unload.status, JSON.parse(unload.text)], [200, { name: 'ads', unload: true }])
  await until(async () => (await index())[0].state === 'UNAVAILABLE')
  await server.registry.reconcile()
  t.match(await index(), [{ name: 'ads', version: '1', state: 'UNAVAILABLE', reason: 'it was unloaded' }, {}, {}])
  for (const url of ['/v2/models/ads', '/v2/models/ads/ready', '/v2/models/ads/config', '/v2/models/ads/stats']) {
    const answer = await fastify.inject(url)
    t.match([answer.statusCode, answer.json()], [503, { error: "ads can't answer: it was unloaded" }], url)
  }
  t.equal((await fastify.inject('/readyz')).statusCode, 200, 'another model answers, and none is required')
  t.match((await fastify.inject('/models')).json().models[0], { name: 'ads', unloaded: true, versions: [] })
  const load = await post('/v2/repository/models/ads/load', {})
  t.same([load.status, JSON.parse(load.text)], [200, { name: 'ads', load: true }])
  t.equal((await fastify.inject('/v2/models/ads/ready')).statusCode, 200)
  const again = await post('/v2/repository/models/ads/load')
  t.equal(again.status, 200, 'what is loaded is loaded')
})

t.test('a load finds what is new in the folder', async (t) => {
  await writeTestBundle(models, { name: 'new' })
  t.equal((await fastify.inject('/v2/models/new/ready')).statusCode, 404)
  t.equal((await post('/v2/repository/models/new/load', '{}')).status, 200)
  t.equal((await fastify.inject('/v2/models/new/ready')).statusCode, 200)
})

t.test('a load says why it failed, and tries again', async (t) => {
  const failed = await post('/v2/repository/models/other/load', {})
  t.match(errorOf(t, failed, 503), /^other is still served by another version: version 2 failed: .*model\.json/)
  t.equal((await fastify.inject('/v2/models/other/ready')).statusCode, 200)
  await rename(join(models, 'other/2'), join(models, 'other/.2'))
  t.equal((await post('/v2/repository/models/other/load', {})).status, 200)
})

t.test('what is no request is refused', async (t) => {
  for (const action of ['load', 'unload'])
    t.match(errorOf(t, await post(`/v2/repository/models/nothing/${action}`, {}), 404), /no model called "nothing"/)
  const config = { parameters: { config: '{}', 'file:1/model.onnx': 'AAAA' } }
  t.match(
    errorOf(t, await post('/v2/repository/models/ads/load', config), 400),
    /^\/parameters has "config": a model is/,
  )
  const file = { parameters: { 'file:1/model.onnx': 'AAAA' } }
  t.match(errorOf(t, await post('/v2/repository/models/ads/load', file), 400), /has "file:1\/model\.onnx"/)
  t.match(errorOf(t, await post('/v2/repository/models/ads/load', { parameters: 7 }), 400), /^\/parameters must be/)
  t.match(errorOf(t, await post('/v2/repository/index', { ready: 1 }), 400), /^\/ready must be true or false/)
  t.match(errorOf(t, await post('/v2/repository/index', '['), 400), /must be JSON/)
  errorOf(t, await post('/v2/repository/index', 'x'.repeat(70_000)), 413)
  errorOf(t, await post('/v2/repository/index', '{}', { 'content-encoding': 'zstd' }), 415)
  t.equal((await post('/v2/repository/index', gzipSync('{}'), { 'content-encoding': 'gzip' })).status, 200)
})

t.test('the extension is listed where administration is enabled, else all of it is forbidden', async (t) => {
  t.ok((await fastify.inject('/v2')).json().extensions.includes('model_repository'))
  const plain = await startTestServer(t, { models, registry: { defaultModel: 'ads' } })
  t.notOk((await plain.fastify.inject('/v2')).json().extensions.includes('model_repository'))
  for (const url of ['/v2/repository/index', '/v2/repository/models/ads/load', '/v2/repository/models/ads/unload']) {
    for (const payload of ['', '{', '{}']) {
      const answer = await plain.fastify.inject({ method: 'POST', url, payload })
      t.equal(answer.statusCode, 403)
      t.equal(answer.headers['content-type'], 'application/json')
      t.match(answer.json(), { error: /Administration is not enabled/ })
    }
  }
  t.equal((await plain.fastify.inject('/v2/models/ads/ready')).statusCode, 200)
})

t.test('while the server stops, nothing is loaded', async (t) => {
  await server.registry.close()
  t.match(errorOf(t, await post('/v2/repository/models/ads/load', {}), 503), /shutting down/)
  t.match(errorOf(t, await post('/v2/repository/models/ads/unload', {}), 503), /shutting down/)
})
