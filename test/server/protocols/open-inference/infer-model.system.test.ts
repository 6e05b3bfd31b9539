import { cp, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { asJson, inferBody } from '../../../support/infer-body.ts'
import { startTestServer } from '../../../support/server.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
await writeTestBundle(models, { version: '2' })
const { fastify, predict } = await startTestServer(t, {
  models,
  registry: { mode: 'all', defaultModel: 'ads' },
  // Without a logger, Fastify does not measure how long a request took.
  logger: { level: 'silent', stream: { write: () => undefined } },
})

async function ask(url: string) {
  const answer = await fastify.inject(url)
  return { status: answer.statusCode, type: answer.headers['content-type'], body: answer.json() }
}

t.test('a configuration is as Triton has it', async (t) => {
  const { status, body } = await ask('/v2/models/ads/config')
  t.equal(status, 200)
  t.same(body, {
    name: 'ads',
    platform: 'onnx_layers',
    backend: 'onnx',
    version_policy: { all: {} },
    max_batch_size: 500,
    input: [
      { name: 'sparse', data_type: 'TYPE_INT32', dims: [3] },
      { name: 'dense', data_type: 'TYPE_FP32', dims: [2] },
    ],
    output: ['ctr', 'cvr', 'ctcvr'].map((name) => ({ name, data_type: 'TYPE_FP32', dims: [1] })),
    instance_group: [{ name: 'ads', kind: 'KIND_CPU', count: 1 }],
    dynamic_batching: { max_queue_delay_microseconds: 0 },
    default_model_filename: 'model.json',
  })
  t.same((await ask('/v2/models/ads/versions/1/config')).body, body)
  t.match(await ask('/v2/models/nothing/config'), { status: 404, body: { error: /no model/ } })
  t.match(await ask('/v2/models/ads/versions/7/config'), { status: 404, body: { error: /version 7/ } })
})

t.test('its tensors are those of the metadata, as perf_analyzer compares them', async (t) => {
  const { body: config } = await ask('/v2/models/ads/config')
  const { body: metadata } = await ask('/v2/models/ads')
  for (const [of, tensors] of [
    [config.input, metadata.inputs],
    [config.output, metadata.outputs],
  ]) {
    t.same(
      of.map(({ name, data_type, dims }: any) => [name, data_type.replace('TYPE_', ''), [-1, ...dims]]),
      tensors.map(({ name, datatype, shape }: any) => [name, datatype, shape]),
    )
  }
})

t.test('statistics count what was asked, by whatever protocol', async (t) => {
  const none = (await ask('/v2/models/ads/versions/2/stats')).body.model_stats
  t.match(none, [{ name: 'ads', version: '2', inference_count: 0, execution_count: 0, last_inference: 0 }])
  const started = Date.now()
  await fastify.inject({ method: 'POST', url: '/v2/models/ads/infer', ...inferBody(asJson) })
  t.equal((await predict({ candidates: [{ hour: 3, campaign: 'c', price: 1 }] })).status, 200)
  const bad = { inputs: [{ ...asJson.inputs[0], shape: [1, 3], data: [0, 0, 0] }, asJson.inputs[1]] }
  await fastify.inject({ method: 'POST', url: '/v2/models/ads/infer', ...inferBody(bad) })
  const { body } = await ask('/v2/models/ads/versions/2/stats')
  t.equal(body.model_stats.length, 1)
  const [{ inference_stats: stats, batch_stats: batches, ...counts }] = body.model_stats
  t.match(counts, { inference_count: 3, execution_count: 2 })
  t.ok(counts.last_inference >= started && counts.last_inference <= Date.now())
  for (const [name, count] of [
    ['success', 2],
    ['fail', 1],
    ['queue', 2],
    ['compute_input', 2],
    ['compute_infer', 2],
    ['compute_output', 2],
    ['cache_hit', 0],
  ] as const) {
    t.equal(stats[name].count, count, name)
    t.ok(Number.isInteger(stats[name].ns) && stats[name].ns >= 0, name)
  }
  t.ok(stats.success.ns >= stats.compute_infer.ns)
  t.same(
    batches.map(({ batch_size, compute_infer }: any) => [batch_size, compute_infer.count]),
    [
      [1, 1],
      [2, 1],
    ],
  )
  const all = (await ask('/v2/models/ads/stats')).body.model_stats
  t.same(all.map(({ version }: any) => version).sort(), ['1', '2'])
  t.same((await ask('/v2/models/stats')).body.model_stats, all)
  t.match(await ask('/v2/models/nothing/stats'), { status: 404, type: 'application/json', body: { error: /no model/ } })
})

t.test('a graph without a manifest has its own outputs', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'bare/1'), { recursive: true })
  const fixtures = join(import.meta.dirname, '../../../../../test/fixtures/pytorch')
  await cp(join(fixtures, 'mmoe-bmm-script.onnx'), join(folder, 'bare/1/model.onnx'))
  const { ids, dense, probabilities } = JSON.parse(await readFile(join(fixtures, 'io.json'), 'utf8'))
  const expected: number[] = probabilities['mmoe-bmm'].flat()
  const { fastify } = await startTestServer(t, { models: folder })
  const metadata = (await fastify.inject('/v2/models/bare')).json()
  t.same(metadata.outputs, [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 2] }])
  t.same(Object.keys(metadata.parameters), ['datatypes'], 'no features')
  const inputs = [
    { name: 'ids', shape: [ids.length, ids[0].length], datatype: 'INT64', data: ids },
    { name: 'dense', shape: [dense.length, dense[0].length], datatype: 'FP32', data: dense },
  ]
  const infer = (request: object) =>
    fastify.inject({ method: 'POST', url: '/v2/models/bare/infer', payload: { inputs, ...request } })
  const close = (values: number[]) => values.every((value, i) => Math.abs(value - expected[i]!) < 1e-5)
  const [output] = (await infer({})).json().outputs
  t.match(output, { name: 'probabilities', shape: [6, 2] })
  t.ok(close(output.data))
  const binary = await infer({ outputs: [{ name: 'probabilities', parameters: { binary_data: true } }] })
  const length = Number(binary.headers['inference-header-content-length'])
  t.match(JSON.parse(binary.rawPayload.subarray(0, length).toString()).outputs, [
    { name: 'probabilities', shape: [6, 2], parameters: { binary_data_size: 48 } },
  ])
  const bytes = binary.rawPayload.subarray(length)
  t.ok(close(Array.from({ length: 12 }, (_, i) => bytes.readFloatLE(4 * i))))
  t.match((await infer({ outputs: [{ name: 'task_0' }] })).json(), {
    error: 'output "task_0" is no output of this model; it has probabilities',
  })
  const strings = { name: 'country', shape: [1], datatype: 'BYTES', data: ['DE'] }
  t.match((await infer({ inputs: [strings] })).json(), {
    error: /^input "country" is not known: the model has "ids", "dense"$/,
  })
  t.match((await fastify.inject('/v2/models/bare/config')).json().output, [{ name: 'probabilities', dims: [2] }])
})
