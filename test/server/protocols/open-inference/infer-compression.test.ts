import { gunzipSync, inflateSync } from 'node:zlib'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { startTestServer } from '../../../support/server.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const { fastify } = await startTestServer(t, { models })

const rows = 480
const inputs = [
  { name: 'hour', shape: [1], datatype: 'INT32', data: [7] },
  { name: 'campaign', shape: [rows], datatype: 'BYTES', data: Array.from({ length: rows }, (_, i) => `c${i}`) },
  { name: 'price', shape: [rows], datatype: 'FP32', data: Array.from({ length: rows }, (_, i) => i / 8) },
]
const small = inputs.map((input) => ({ ...input, shape: [1], data: input.data.slice(0, 1) }))

async function infer(payload: object, encoding?: string) {
  const headers = encoding === undefined ? {} : { 'accept-encoding': encoding }
  const answer = await fastify.inject({ method: 'POST', url: '/v2/models/ads/infer', payload, headers })
  t.equal(answer.statusCode, 200, answer.payload)
  return { headers: answer.headers, bytes: answer.rawPayload }
}

t.test('large answers are compressed as their client likes, with the length of the JSON part before', async (t) => {
  for (const parameters of [{ binary_data_output: false }, { binary_data_output: true }]) {
    const plain = await infer({ inputs, parameters })
    t.notOk('content-encoding' in plain.headers)
    for (const [accepted, encoding, unpack] of [
      ['gzip', 'gzip', gunzipSync],
      ['deflate', 'deflate', inflateSync],
      ['gzip, deflate', 'gzip', gunzipSync],
      ['br, deflate;q=0.5', 'deflate', inflateSync],
      ['*', 'gzip', gunzipSync],
    ] as const) {
      const packed = await infer({ inputs, parameters }, accepted)
      t.equal(packed.headers['content-encoding'], encoding, accepted)
      const { 'content-length': length = packed.bytes.length } = packed.headers
      t.equal(Number(length), packed.bytes.length, 'its length after compression, where it is said')
      t.equal(packed.headers['content-type'], plain.headers['content-type'])
      t.equal(
        packed.headers['inference-header-content-length'],
        plain.headers['inference-header-content-length'],
        'before compression',
      )
      t.ok(packed.bytes.length < plain.bytes.length)
      t.same(unpack(packed.bytes), plain.bytes)
    }
  }
})

t.test('an answer is compressed from 1 KiB on', async (t) => {
  const some = (count: number) =>
    inputs.map((input) => ({ ...input, shape: [Math.min(count, input.data.length)], data: input.data.slice(0, count) }))
  const plain = await infer({ inputs: some(40) })
  t.ok(plain.bytes.length >= 1024 && plain.bytes.length < 4096, `${plain.bytes.length} bytes`)
  const packed = await infer({ inputs: some(40) }, 'gzip')
  t.equal(packed.headers['content-encoding'], 'gzip')
  t.same(gunzipSync(packed.bytes), plain.bytes)
  const below = await infer({ inputs: some(10) }, 'gzip')
  t.ok(below.bytes.length < 1024, `${below.bytes.length} bytes`)
  t.notOk('content-encoding' in below.headers)
})

t.test('small answers, and encodings that are not known, leave as they are', async (t) => {
  t.notOk('content-encoding' in (await infer({ inputs: small }, 'gzip, deflate')).headers)
  for (const encoding of ['br', 'identity', 'zstd', 'gzip;q=0', ''])
    t.notOk('content-encoding' in (await infer({ inputs }, encoding)).headers, encoding)
})
