import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { startTestServer } from '../../../support/server.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
await writeTestBundle(models, { version: '2' })
await writeTestBundle(models, { name: 'broken' })
await writeFile(join(models, 'broken/1/model.json'), '{}')
const server = await startTestServer(t, { models, registry: { mode: 'all', defaultModel: 'ads' } })
const { fastify, drain } = server

async function ask(url: string) {
  const answer = await fastify.inject(url)
  return { status: answer.statusCode, type: answer.headers['content-type'], body: answer.json() }
}

t.test('the server says what it is', async (t) => {
  const answer = {
    name: 'multigate',
    version: '0.0.0',
    extensions: ['binary_tensor_data', 'model_configuration', 'statistics'],
  }
  for (const url of ['/v2', '/v2/']) t.match(await ask(url), { status: 200, body: answer })
})

t.test('HEAD is answered as GET is, without a body', async (t) => {
  for (const url of ['/v2', '/v2/health/live', '/v2/models/ads', '/v2/models/ads/ready', '/v2/models/ads/config']) {
    const answer = await fastify.inject({ method: 'HEAD', url })
    t.equal(answer.statusCode, 200, url)
    t.equal(answer.payload, '')
    t.match(answer.headers['content-type'], 'application/json')
  }
  t.equal((await fastify.inject({ method: 'HEAD', url: '/v2/models/nothing/ready' })).statusCode, 404)
})

t.test('it is live, and ready until it stops', async (t) => {
  t.match(await ask('/v2/health/live'), { status: 200, body: { live: true } })
  t.match(await ask('/v2/health/ready'), { status: 200, body: { ready: true } })
  drain.draining = true
  t.teardown(() => {
    drain.draining = false
  })
  t.match(await ask('/v2/health/live'), { status: 200, body: { live: true } })
  t.same(await ask('/v2/health/ready'), {
    status: 503,
    type: 'application/json',
    body: { ready: false, error: 'shutting down' },
  })
})

t.test('it is not ready while a required model is not', async (t) => {
  const waiting = await startTestServer(t, { models, registry: { defaultModel: 'ads', requiredModels: ['missing'] } })
  t.match((await waiting.fastify.inject('/v2/health/ready')).json(), { ready: false, error: /^missing: / })
})

t.test('a model lists its tensors, and the versions that answer', async (t) => {
  const integers = ['BOOL', 'INT8', 'INT16', 'INT32', 'INT64', 'UINT8', 'UINT16', 'UINT32', 'UINT64']
  const tensor = (name: string, datatype: string, width: number) => ({ name, datatype, shape: [-1, width] })
  const { status, body } = await ask('/v2/models/ads')
  t.equal(status, 200)
  t.same(body, {
    name: 'ads',
    versions: body.versions,
    platform: 'onnx_layers',
    inputs: [tensor('sparse', 'INT32', 3), tensor('dense', 'FP32', 2)],
    outputs: ['ctr', 'cvr', 'ctcvr'].map((name) => tensor(name, 'FP32', 1)),
    parameters: {
      datatypes: { sparse: integers, dense: [...integers, 'FP32', 'FP64'] },
      features: [
        { name: 'country', datatype: 'BYTES', shape: [-1], side: 'context', required: false },
        { name: 'hour', datatype: 'INT64', shape: [-1], side: 'context', required: true },
        { name: 'campaign', datatype: 'BYTES', shape: [-1], side: 'candidate', required: true },
        { name: 'price', datatype: 'FP64', shape: [-1], side: 'candidate', required: true },
        { name: 'views', datatype: 'FP64', shape: [-1], side: 'cross', required: false },
      ],
    },
  })
  t.same([...body.versions].sort(), ['1', '2'])
  t.same((await ask('/v2/models/ads/versions/1')).body, body)
})

t.test('a model is ready, or its error says why not', async (t) => {
  for (const url of ['/v2/models/ads/ready', '/v2/models/ads/versions/1/ready'])
    t.match(await ask(url), { status: 200, body: { name: 'ads', ready: true } })
  t.equal(server.registry.list().find(({ name }) => name === 'broken')?.versions[0]?.state, 'failed')
  for (const [path, status] of [
    ['/v2/models/nothing', 404],
    ['/v2/models/ads/versions/9', 404],
    ['/v2/models/broken', 503],
  ] as const) {
    for (const url of [path, `${path}/ready`]) {
      const answer = await ask(url)
      t.match(answer, { status, type: 'application/json', body: { error: /./ } }, url)
    }
  }
})

t.test('asking holds no version', async (t) => {
  const closing = server.registry.close()
  await closing
  t.match(await ask('/v2/models/ads/ready'), { status: 503, body: { error: /shutting down/ } })
  t.match(await ask('/v2/health/ready'), { status: 503, body: { ready: false } })
})
