import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { perFeatureGraph } from '../../../support/per-feature.ts'
import { startTestServer } from '../../../support/server.ts'
import { until } from '../../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
await writeTestBundle(models, { version: '2', seed: 2 })
await writeTestBundle(models, { version: '3', seed: 3 })
await writeFile(join(models, 'ads/3/model.json'), '{}')
await writeFile(join(models, 'ads/labels.json'), JSON.stringify({ stable: '1', broken: '3', constructor: '1' }))
await mkdir(join(models, 'shop/7'), { recursive: true })
await writeFile(join(models, 'shop/7/model.onnx'), perFeatureGraph().toBytes())
const server = await startTestServer(t, { models, registry: { mode: 'all', defaultModel: 'ads' } })
const { fastify, registry } = server

async function ask(path: string) {
  const answer = await fastify.inject(`/v1/models${path}`)
  return { status: answer.statusCode, type: answer.headers['content-type'], body: answer.json() }
}
const good = (version: string) => ({
  version,
  state: 'AVAILABLE',
  status: { error_code: 'OK', error_message: '' },
})

t.test('the names of all models', async (t) => {
  for (const path of ['', '/'])
    t.same(await ask(path), { status: 200, type: 'application/json', body: { models: ['ads', 'shop'] } })
})

t.test('a model has a status for each version, the failed one too', async (t) => {
  const { status, type, body } = await ask('/ads')
  t.same([status, type], [200, 'application/json'])
  t.same(body, {
    name: 'ads',
    ready: true,
    model_version_status: [body.model_version_status[0], good('2'), good('1')],
  })
  t.match(body.model_version_status[0], {
    version: '3',
    state: 'END',
    status: { error_code: 'UNKNOWN', error_message: /model\.json/ },
  })
  t.same((await ask('/ads/')).body, body)
})

t.test('one version, by its number or a label', async (t) => {
  const first = { name: 'ads', ready: true, model_version_status: [good('1')] }
  t.same((await ask('/ads/versions/1')).body, first)
  t.same((await ask('/ads/labels/stable')).body, first)
  for (const path of ['/ads/versions/3', '/ads/labels/broken'])
    t.match((await ask(path)).body, { ready: false, model_version_status: [{ version: '3', state: 'END' }] }, path)
})

t.test('states are those of the registry', async (t) => {
  const waiting = await startTestServer(t, { models, registry: { mode: 'all' } })
  const list = waiting.registry.list.bind(waiting.registry)
  const [whole] = list()
  const states = ['loading', 'ready', 'draining', 'failed'] as const
  waiting.registry.list = () => [
    { ...whole!, versions: states.map((state, i) => ({ version: String(4 - i), state })) },
    { name: 'none', default: false, versions: [] },
  ]
  const status = async (name: string) => (await waiting.fastify.inject(`/v1/models/${name}`)).json()
  t.same(
    (await status('ads')).model_version_status.map(({ state }: any) => state),
    ['LOADING', 'AVAILABLE', 'UNLOADING', 'END'],
  )
  t.same(await status('none'), { name: 'none', ready: false, model_version_status: [] })
  waiting.registry.list = list
})

t.test('signatures list tensors, and named features', async (t) => {
  const { status, type, body } = await ask('/ads/metadata')
  t.same([status, type], [200, 'application/json'])
  const tensor = (name: string, dtype: string, ...sizes: number[]) => ({
    [name]: {
      dtype,
      tensor_shape: { dim: [-1, ...sizes].map((size) => ({ size: String(size), name: '' })), unknown_rank: false },
      name,
    },
  })
  const outputs = { ...tensor('ctr', 'DT_FLOAT'), ...tensor('cvr', 'DT_FLOAT'), ...tensor('ctcvr', 'DT_FLOAT') }
  const method_name = 'tensorflow/serving/predict'
  t.same(body, {
    model_spec: { name: 'ads', signature_name: '', version: '2' },
    metadata: {
      signature_def: {
        signature_def: {
          serving_default: {
            inputs: { ...tensor('sparse', 'DT_INT32', 3), ...tensor('dense', 'DT_FLOAT', 2) },
            outputs,
            method_name,
          },
          features: {
            inputs: {
              ...tensor('country', 'DT_STRING'),
              ...tensor('hour', 'DT_INT64'),
              ...tensor('campaign', 'DT_STRING'),
              ...tensor('price', 'DT_FLOAT'),
              ...tensor('views', 'DT_FLOAT'),
            },
            outputs,
            method_name,
          },
        },
      },
    },
  })
  for (const path of ['/ads/versions/1/metadata', '/ads/labels/stable/metadata'])
    t.same((await ask(path)).body, { ...body, model_spec: { ...body.model_spec, version: '1' } })

  const shop = (await ask('/shop/metadata')).body
  t.same(shop.metadata.signature_def.signature_def, {
    serving_default: {
      inputs: {
        ...tensor('country', 'DT_INT64'),
        ...tensor('hour', 'DT_INT32', 1),
        ...tensor('price', 'DT_FLOAT'),
        ...tensor('sizes', 'DT_FLOAT', 2, 2),
      },
      outputs: { ...tensor('click', 'DT_FLOAT', 1), ...tensor('buy', 'DT_FLOAT') },
      method_name,
    },
  })
})

t.test('what is not there is 404, in words that clients know', async (t) => {
  for (const [path, error] of [
    ['/nothing', 'Could not find any versions of model nothing'],
    ['/nothing/versions/1', 'Could not find any versions of model nothing'],
    ['/ads/versions/9', 'Could not find version 9 of model ads'],
    ['/ads/labels/canary', 'Could not find a version labelled canary of model ads'],
    ['/ads/labels/toString', 'Could not find a version labelled toString of model ads'],
    ['/nothing/metadata', 'Servable not found for request: Latest(nothing)'],
    ['/ads/versions/9/metadata', 'Servable not found for request: Specific(ads, 9)'],
    ['/ads/labels/canary/metadata', 'Servable not found for request: Latest(ads), label canary'],
  ])
    t.same(await ask(path!), { status: 404, type: 'application/json', body: { error } })
  t.match(await ask('/ads/labels/toString/more'), { status: 404, body: { error: /nothing at/ } })
})

t.test('asking holds no version', async (t) => {
  await ask('/ads/metadata')
  await server.registry.close()
  await until(() => registry.live().length === 0)
  t.match(await ask('/ads/metadata'), { status: 503, body: { error: /shutting down/ } })
})
