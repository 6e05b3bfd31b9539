import { once } from 'node:events'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import compress from '@fastify/compress'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { multigate, type PluginOptions } from '../../src/index.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { until } from '../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const cache = await temporaryFolder(t)
const body = { context: { country: 'DE', hour: 21 }, candidates: [{ id: 'a', campaign: 'c9', price: 1.25 }] }
const json = { 'content-type': 'application/json' }

/** Registers the plugin below /rank; resolves once its models are loaded. */
async function mount(t: Test, host: FastifyInstance, options: Partial<PluginOptions> = {}): Promise<string[]> {
  t.teardown(() => host.close())
  const { promise, resolve } = withResolver<string[]>()
  await host.register(multigate, {
    ...{ prefix: '/rank', models, engine: 'onnx', workers: 1, cache, pollSeconds: 0, onLoaded: resolve },
    ...options,
  })
  await host.ready()
  return promise
}

function withResolver<T>() {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((fulfil) => (resolve = fulfil))
  return { promise, resolve }
}

const post = (host: FastifyInstance, url: string, payload: unknown, headers = {}) =>
  host.inject({ method: 'POST', url, payload: payload as object, headers: { ...json, ...headers } })

t.test('every path is there below the prefix, in every protocol', async (t) => {
  const host = Fastify({ pluginTimeout: 0 })
  t.same(await mount(t, host), [])
  const answer = await post(host, '/rank/predict', body, { 'x-request-id': 'mine' })
  t.equal(answer.statusCode, 200, answer.body)
  t.equal(answer.headers['x-request-id'], 'mine')
  t.match(answer.json(), { model: 'ads', request_id: 'mine', predictions: [{ id: 'a', ctr: Number, ctcvr: Number }] })
  for (const path of [
    '/livez',
    '/readyz',
    '/metrics',
    '/models',
    '/models/ads',
    '/v2',
    '/v2/models/ads/ready',
    '/docs',
  ]) {
    t.equal((await host.inject(`/rank${path}`)).statusCode, 200, path)
    t.equal((await host.inject(path)).statusCode, 404, `${path} is nothing of the host's`)
  }
  const { fields } = (await host.inject('/rank/models/ads')).json()
  const { path } = fields.find(({ values }: any) => values !== undefined).values
  t.equal(path, '/rank/models/ads/fields/country/values')
  t.equal((await host.inject(path)).statusCode, 200)
  t.match(await host.inject('/rank'), { statusCode: 302, headers: { location: 'rank/' } }, 'its paths are relative')
  t.match(await host.inject('/rank/'), { statusCode: 200, body: /<script type="module" src="console\/assets\// })
})

t.test('its documentation has its own paths alone, with the prefix', async (t) => {
  const host = Fastify({ pluginTimeout: 0 })
  host.get('/own', async () => 'own')
  await mount(t, host)
  const document = (await host.inject('/rank/docs/json')).json() as any
  const { pathname: base } = new URL(document.servers[0].url, 'http://localhost/rank/docs/json')
  const urls = Object.keys(document.paths).map((path) => base.replace(/\/$/, '') + path)
  t.ok(urls.includes('/rank/predict') && urls.includes('/rank/v2/models/{model}/infer'), urls.join(' '))
  t.notOk(urls.some((url) => url.includes('own') || url.startsWith('/rank/rank')))
  const page = await host.inject('/rank/docs')
  t.equal(page.statusCode, 200)
  t.ok([...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].length > 2)
  for (const [, file] of page.body.matchAll(/(?:src|href)="([^"]+)"/g)) {
    const { pathname } = new URL(file!, 'http://localhost/rank/docs')
    t.equal((await host.inject(pathname)).statusCode, 200, pathname)
  }
})

t.test('errors are its own below the prefix, and the host keeps its', async (t) => {
  const host = Fastify({ pluginTimeout: 0 })
  host.setErrorHandler((error, _, reply) => reply.status(418).send({ host: (error as Error).message }))
  host.setNotFoundHandler((_, reply) => reply.status(404).send({ host: 'nothing' }))
  host.get('/broken', async () => {
    throw new Error('broken')
  })
  host.post('/echo', async ({ body }) => body)
  await mount(t, host)

  const refused = await post(host, '/rank/predict', { candidates: 7 })
  t.match(refused, { statusCode: 400, headers: { 'content-type': /^application\/problem\+json/ } })
  t.match(refused.json(), { code: 'INVALID_REQUEST', errors: [{ path: '/candidates' }] })
  t.match((await post(host, '/rank/predict', '{')).json(), { code: 'INVALID_REQUEST' })
  t.match((await host.inject('/rank/nothing')).json(), { code: 'NOT_FOUND', detail: /GET \/rank\/docs/ })
  const wrongMethod = await host.inject('/rank/predict')
  t.match(wrongMethod, { statusCode: 405, headers: { allow: 'POST' } })
  for (const protocol of ['v1', 'v2']) {
    const asked = await host.inject(`/rank/${protocol}/models/nothing`)
    t.match(asked, { statusCode: 404, headers: { 'content-type': 'application/json' } }, protocol)
    t.match(asked.json(), { error: /nothing/ }, protocol)
  }

  t.match(await host.inject('/broken'), { statusCode: 418, body: '{"host":"broken"}' })
  t.match(await host.inject('/nothing'), { statusCode: 404, body: '{"host":"nothing"}' })
  t.match(await host.inject('/ranking'), { statusCode: 404, body: '{"host":"nothing"}' })
  t.match((await post(host, '/echo', '{')).json(), { host: /JSON|Body/i }, "the host's parser reads the host's bodies")
  t.same((await post(host, '/echo', { a: 1 })).json(), { a: 1 })
  t.equal((await host.inject('/nothing')).headers['x-request-id'], undefined)
})

t.test('it stands beside what a host has of the same plugins, names and parsers', async (t) => {
  const host = Fastify({ bodyLimit: 1000 })
  await host.register(compress, { threshold: 0 })
  await host.register(swagger, { openapi: { info: { title: 'host', version: '1' } } })
  await host.register(swaggerUi, { routePrefix: '/docs' })
  host.decorateRequest('flight', null)
  host.addSchema({ $id: 'PredictRequest', type: 'object' })
  host.addContentTypeParser('application/x-own', { parseAs: 'string' }, async () => 'own')
  const seen: string[] = []
  host.addHook('onRequest', async ({ url }) => {
    seen.push(url)
  })
  host.post('/own', async ({ body }) => ({ body }))
  await mount(t, host)

  const payload = JSON.stringify({ ...body, candidates: Array.from({ length: 50 }, () => body.candidates[0]) })
  t.ok(payload.length > 1000, 'a body beyond the host’s limit')
  t.equal((await post(host, '/rank/predict', payload)).statusCode, 200)
  const squeezed = await host.inject({
    method: 'POST',
    url: '/rank/predict',
    payload: gzipSync(payload),
    headers: { ...json, 'content-encoding': 'gzip' },
  })
  t.equal(squeezed.statusCode, 200, squeezed.body)
  t.equal((await post(host, '/own', payload)).statusCode, 413, 'the host keeps its limit')
  t.same(
    (
      await host.inject({ method: 'POST', url: '/own', payload: 'x', headers: { 'content-type': 'application/x-own' } })
    ).json(),
    { body: 'own' },
  )
  t.ok(seen.includes('/rank/predict'), "the host's hooks run for all")
  const [ours, hosts] = await Promise.all(
    ['/rank/docs/json', '/docs/json'].map(async (url) => (await host.inject(url)).json()),
  )
  t.equal((ours as any).info.title, 'multigate')
  t.equal((hosts as any).info.title, 'host')
  t.ok((hosts as any).paths['/own'])
})

t.test('two of them, with bodies of their own size', async (t) => {
  const host = Fastify({ pluginTimeout: 0 })
  await mount(t, host)
  const small = Fastify({ pluginTimeout: 0 })
  await mount(t, small, { maxBodyBytes: 1024 })
  await small.close()
  const both = Fastify({ pluginTimeout: 0 })
  t.teardown(() => both.close())
  const options = { models, engine: 'onnx', workers: 1, cache } as const
  const loaded = [withResolver<string[]>(), withResolver<string[]>()]
  await both.register(multigate, { ...options, prefix: '/a', maxBodyBytes: 1024, onLoaded: loaded[0]!.resolve })
  await both.register(multigate, { ...options, prefix: '/b', onLoaded: loaded[1]!.resolve })
  await both.ready()
  t.same(await Promise.all(loaded.map(({ promise }) => promise)), [[], []])
  const large = { ...body, candidates: Array.from({ length: 50 }, () => body.candidates[0]) }
  t.match((await post(both, '/a/predict', large)).json(), { code: 'BODY_TOO_LARGE' })
  t.equal((await post(both, '/b/predict', large)).statusCode, 200)
})

t.test('what is under way is answered when the host closes', async (t) => {
  const host = Fastify({ pluginTimeout: 0 })
  await mount(t, host)
  await host.listen({ host: '127.0.0.1', port: 0 })
  const { port } = host.server.address() as AddressInfo
  const payload = JSON.stringify(body)
  const sent = request({
    ...{ host: '127.0.0.1', port, method: 'POST', path: '/rank/predict' },
    headers: { ...json, 'content-length': payload.length },
  })
  const response = once(sent, 'response')
  const begun = new Promise<void>((resolve) => host.server.once('request', () => resolve()))
  sent.write(payload.slice(0, 10))
  await begun
  const closing = host.close()
  sent.end(payload.slice(10))
  const [answer] = await response
  t.ok([200, 503].includes(answer.statusCode), 'answered, or told why not')
  answer.resume()
  await closing
})

t.test('what is wrong is said when it is registered', async (t) => {
  const register = async (options: object) => {
    const host = Fastify({ pluginTimeout: 0 })
    t.teardown(() => host.close())
    host.register(multigate, options as PluginOptions)
    await host.ready()
  }
  await t.rejects(register({ models }), /multigate needs a prefix/)
  await t.rejects(register({ prefix: '/rank', models, port: 80 }), /port is no setting here; there are models, /)
  await t.rejects(register({ prefix: '/rank', models, workers: -1 }), /workers must be at least 0, not "-1"/)
})

t.test('models that come later are taken, as the probe tells', async (t) => {
  const folder = join(await temporaryFolder(t), 'later')
  const host = Fastify({ pluginTimeout: 0 })
  const reasons = await mount(t, host, { models: folder, waitForModels: true, pollSeconds: 0.02 })
  t.match(reasons, [/can't be read/])
  t.equal((await host.inject('/rank/readyz')).statusCode, 503)
  await writeTestBundle(folder)
  await until(async () => (await host.inject('/rank/readyz')).statusCode === 200)
  t.equal((await post(host, '/rank/predict', body)).statusCode, 200)
})
