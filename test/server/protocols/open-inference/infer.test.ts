import { deflateSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import * as body from '../../../support/infer-body.ts'
import {
  anyTypes,
  asBytes,
  asJson,
  dense,
  errorOf,
  ids,
  inferBody,
  numbers,
  sparse,
} from '../../../support/infer-body.ts'
import { startTestServer } from '../../../support/server.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const server = await startTestServer(t, { models, limits: { maxRequestRows: 4 }, maxBodyBytes: 2000 })
const { fastify, metrics, predict } = server
const infer = (sent: body.InferBody, url?: string) => body.infer(fastify, sent, url)

/** The answers of `POST /predict` to the same tensors, by task. */
const expected: Record<string, number>[] = (
  await predict({
    sparse: [[...ids.subarray(0, 3)], [...ids.subarray(3)]],
    dense: [[...numbers.subarray(0, 2)], [...numbers.subarray(2)]],
  })
).body.predictions
const column = (task: string) => expected.map((row) => row[task]!)

t.test('tensors as JSON are answered as JSON: every task, derived ones too, as POST /predict does', async (t) => {
  const { status, headers, text } = await infer(inferBody(asJson))
  t.equal(status, 200)
  t.equal(headers['content-type'], 'application/json')
  t.notOk('inference-header-content-length' in headers)
  t.same(JSON.parse(text), {
    model_name: 'ads',
    model_version: '1',
    outputs: ['ctr', 'cvr', 'ctcvr'].map((name) => ({ name, datatype: 'FP32', shape: [2, 1], data: column(name) })),
  })
})

t.test('tensors as bytes are answered as bytes', async (t) => {
  const { payload, headers } = inferBody({ ...asBytes, parameters: { binary_data_output: true } }, ids, numbers)
  const answer = await infer({ payload, headers })
  t.equal(answer.status, 200, answer.text)
  t.equal(answer.headers['content-type'], 'application/octet-stream')
  t.equal(answer.headers['content-length'], String(answer.bytes.length))
  const length = Number(answer.headers['inference-header-content-length'])
  t.equal(
    answer.bytes.subarray(0, length).toString(),
    '{"model_name":"ads","model_version":"1","outputs":[' +
      '{"name":"ctr","datatype":"FP32","shape":[2,1],"parameters":{"binary_data_size":8}},' +
      '{"name":"cvr","datatype":"FP32","shape":[2,1],"parameters":{"binary_data_size":8}},' +
      '{"name":"ctcvr","datatype":"FP32","shape":[2,1],"parameters":{"binary_data_size":8}}]}',
  )
  const binary = answer.bytes.subarray(length)
  t.equal(binary.length, 24)
  for (const [i, value] of ['ctr', 'cvr', 'ctcvr'].flatMap(column).entries())
    t.ok(Math.abs(binary.readFloatLE(4 * i) / value - 1) < 1e-6)
})

t.test('outputs are those asked for, in that order, each as it was asked for', async (t) => {
  const outputs = [{ name: 'ctcvr', parameters: { binary_data: true } }, { name: 'ctr' }]
  const mixed = await infer(inferBody({ ...asJson, id: 'a "b"', outputs }))
  const length = Number(mixed.headers['inference-header-content-length'])
  t.same(JSON.parse(mixed.bytes.subarray(0, length).toString()), {
    model_name: 'ads',
    model_version: '1',
    id: 'a "b"',
    outputs: [
      { name: 'ctcvr', datatype: 'FP32', shape: [2, 1], parameters: { binary_data_size: 8 } },
      { name: 'ctr', datatype: 'FP32', shape: [2, 1], data: column('ctr') },
    ],
  })
  const found = mixed.bytes.subarray(length)
  t.equal(found.length, 8)
  for (const [i, value] of column('ctcvr').entries()) t.ok(Math.abs(found.readFloatLE(4 * i) / value - 1) < 1e-6)
  const unlike = await infer(
    inferBody({
      ...asJson,
      id: '',
      parameters: { binary_data_output: true },
      outputs: [{ name: 'cvr', parameters: { binary_data: false } }],
    }),
  )
  t.same(JSON.parse(unlike.text).outputs, [{ name: 'cvr', datatype: 'FP32', shape: [2, 1], data: column('cvr') }])
  t.equal(JSON.parse(unlike.text).id, '')
  const all = await infer(inferBody({ ...asJson, outputs: [] }))
  t.equal(JSON.parse(all.text).outputs.length, 3)
})

t.test('what the body is called makes no difference, nor its compression', async (t) => {
  const { payload, headers } = inferBody(asBytes, ids, numbers)
  const { bytes } = await infer({ payload, headers })
  const asText = inferBody(asJson)
  const { text } = await infer(asText)
  for (const type of anyTypes) {
    t.same((await infer({ payload, headers: { ...headers, 'content-type': type } })).bytes, bytes, type)
    t.equal((await infer({ ...asText, headers: { 'content-type': type } })).text, text, type)
    const packed = { 'content-type': type, 'content-encoding': 'gzip' }
    t.same((await infer({ payload: gzipSync(payload), headers: { ...headers, ...packed } })).bytes, bytes, type)
    const wrong = await infer({ payload: '<inputs/>', headers: { 'content-type': type } })
    t.match(errorOf(t, wrong, 400), /^The body must be JSON/, 'it is no JSON for that')
  }
  for (const [encoding, packed] of [
    ['gzip', gzipSync(payload)],
    ['deflate', deflateSync(payload)],
  ] as const)
    t.same(
      (await infer({ payload: packed, headers: { ...headers, 'content-encoding': encoding } })).bytes,
      bytes,
      encoding,
    )
  const unknown = await infer({ payload, headers: { ...headers, 'content-encoding': 'zstd' } })
  t.match(errorOf(t, unknown, 415), /Content-Encoding/)
})

t.test('a version may be named', async (t) => {
  const body = inferBody(asBytes, ids, numbers)
  t.same((await infer(body, '/v2/models/ads/versions/1/infer')).bytes, (await infer(body)).bytes)
  t.match(errorOf(t, await infer(body, '/v2/models/ads/versions/9/infer'), 404), /version 9/)
  t.match(errorOf(t, await infer(body, '/v2/models/nothing/infer'), 404), /no model called "nothing"/)
  t.match(errorOf(t, await infer(body, '/v2/models/ads/versions/x/infer'), 404), /version x/)
})

t.test('what is wrong with a tensor is told by its name', async (t) => {
  const send = (json: unknown, ...tensors: ArrayBufferView[]) => infer(inferBody(json, ...tensors))
  const outside = await send(asBytes, Int32Array.of(0, 25, 30, 3, 3, -1), numbers)
  t.match(errorOf(t, outside, 400), /^input "sparse"\[1, 1\] is not an id of hour: must be from 4 to 27; input /)
  const infinite = await send(asBytes, ids, Float32Array.of(1, 2, Number.NaN, Number.POSITIVE_INFINITY))
  t.equal(errorOf(t, infinite, 400), 'input "dense"[1, 0] must be finite; input "dense"[1, 1] must be finite')
  const large = await send({ inputs: [asJson.inputs[0], { ...dense, data: [1, 2, 3, 1e39] }] })
  t.equal(errorOf(t, large, 400), 'input "dense"[1, 1] is too large for float32')
  t.equal(errorOf(t, await send({ inputs: [asJson.inputs[0]] }), 400), 'input "dense" is required: [rows, 2]')
  const short = { ...dense, shape: [1, 2], data: [1, 2] }
  t.equal(
    errorOf(t, await send({ inputs: [asJson.inputs[0], short] }), 400),
    'input "dense" has 1 rows where sparse has 2',
  )
  const output = await send({ ...asJson, outputs: [{ name: 'ctr' }, { name: 'probability' }] })
  t.equal(errorOf(t, output, 400), 'output "probability" is no output of this model; it has ctr, cvr, ctcvr')
  t.match(errorOf(t, await send({ inputs: 7 }), 400), /^\/inputs must be an array/)
})

t.test('bodies that are no request', async (t) => {
  t.equal(errorOf(t, await infer({ payload: '' }), 400), 'The body must be JSON; it is empty')
  t.match(errorOf(t, await infer({ payload: '{"inputs": [' }), 400), /^The body must be JSON: /)
  const many = { ...sparse, shape: [5, 3], data: new Array(15).fill(0) }
  const manyNumbers = { ...dense, shape: [5, 2], data: new Array(10).fill(0) }
  t.match(errorOf(t, await infer(inferBody({ inputs: [many, manyNumbers] })), 413), /5 rows; at most 4/)
  errorOf(t, await infer({ payload: Buffer.alloc(2001) }), 413)
  errorOf(t, await infer({ payload: gzipSync(Buffer.alloc(20_000)), headers: { 'content-encoding': 'gzip' } }), 413)
})

t.test('every request is counted, by its outcome', async (t) => {
  const count = async (outcome: string, model = 'ads', version = '1') => {
    const line = `multigate_requests_total{model="${model}",version="${version}",outcome="${outcome}"} `
    return Number((await metrics.registry.metrics()).split(line)[1]?.split('\n')[0] ?? 0)
  }
  const before = [await count('ok'), await count('invalid_request', '', ''), await count('invalid_request')]
  await infer(inferBody(asBytes, ids, numbers))
  await infer({ payload: '{' })
  await infer(inferBody({ inputs: [asJson.inputs[0]] }))
  await infer(inferBody(asJson), '/v2/models/nothing/infer')
  await infer({ payload: Buffer.alloc(2001) })
  const after = [await count('ok'), await count('invalid_request', '', ''), await count('invalid_request')]
  t.same(
    after,
    before.map((value) => value + 1),
  )
  t.ok(await count('body_too_large', '', ''))
  t.ok(await count('model_not_found', '', ''))
  const text = await metrics.registry.metrics()
  t.match(text, /multigate_rows_total\{model="ads",version="1"\} [1-9]/)
  t.match(text, /multigate_prediction_mean\{model="ads",version="1",task="ctcvr"\} 0\.\d/)
})
