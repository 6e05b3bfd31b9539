import t from 'tap'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { LoadedModel } from '../../../../src/model/serving/prediction/loaded-model.ts'
import { readRows } from '../../../../src/server/protocols/open-inference/infer-features.ts'
import { readBody } from '../../../../src/server/protocols/open-inference/infer-request.ts'
import { temporaryFolder, testFeatures, writeTestBundle } from '../../../support/bundle.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import * as body from '../../../support/infer-body.ts'
import { dense, errorOf, ids, inferBody, numbers, sparse, stringBytes } from '../../../support/infer-body.ts'
import { startTestServer } from '../../../support/server.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const { fastify, predict } = await startTestServer(t, { models, limits: { maxRequestRows: 20 } })
const infer = (json: unknown, ...tensors: ArrayBufferView[]) => body.infer(fastify, inferBody(json, ...tensors))

const strings = (name: string, data: unknown[], shape: number[] = [data.length]) => ({
  name,
  shape,
  datatype: 'BYTES',
  data,
})
const integers = (name: string, data: unknown[], shape: number[] = [data.length]) => ({
  name,
  shape,
  datatype: 'INT64',
  data,
})
const floats = (name: string, data: unknown[], shape: number[] = [data.length]) => ({
  name,
  shape,
  datatype: 'FP32',
  data,
})

/** Probabilities of a task. */
const taskOf = (answer: body.InferReply, task: string): number[] =>
  JSON.parse(answer.text).outputs.find(({ name }: { name: string }) => name === task).data

t.test('features by name are answered as POST /predict does', async (t) => {
  const candidates = { campaign: ['c1', 'c9', 'ü€'], price: [0.5, 1.25, 3], views: [1, 2, 3] }
  const expected = (await predict({ context: { country: 'DE', hour: 21 }, candidates })).body.predictions
  const inputs = [
    strings('country', ['DE']),
    integers('hour', [21], [1, 1]),
    strings('campaign', candidates.campaign),
    floats('price', [[0.5], [1.25], [3]], [3, 1]),
    integers('views', candidates.views),
  ]
  const answer = await infer({ inputs })
  t.equal(answer.status, 200, answer.text)
  for (const task of ['ctr', 'cvr', 'ctcvr']) t.same(taskOf(answer, task), expected[task])
  const repeated = inputs.map((input) => ({
    ...input,
    shape: [3, 1],
    data: input.data.length === 1 ? [0, 1, 2].map(() => input.data[0]) : input.data,
  }))
  t.same((await infer({ inputs: repeated })).text, answer.text, 'given for each row')
  const withOwn = [...inputs, strings('id', ['x', 'y', 'z']), floats('bid', [1, 2, 3])]
  t.same((await infer({ inputs: withOwn })).text, answer.text, 'id and bid may stand among them')
  const withNumbers = [...inputs, integers('id', [7, -1, Number.MAX_SAFE_INTEGER])]
  t.same((await infer({ inputs: withNumbers })).text, answer.text, 'an id may be an integer')
  const fractions = [...inputs, { ...floats('id', [1, 2.5, 3]), datatype: 'FP64' }]
  t.equal(
    errorOf(t, await infer({ inputs: fractions }), 400),
    'input "id"[1] must be a string or an integer',
    'and no fraction',
  )
})

t.test('one row is one row', async (t) => {
  const { body } = await predict({ candidates: [{ hour: 3, campaign: 'c', price: 1 }] })
  const answer = await infer({ inputs: [integers('hour', [3]), strings('campaign', ['c']), floats('price', [1])] })
  t.same(taskOf(answer, 'ctr'), [body.predictions[0].ctr])
})

t.test('as bytes or as JSON, in any order, the answer is the same', async () => {
  const row = fc.record({
    country: fc.constantFrom('DE', 'FR', 'XX', ''),
    hour: fc.nat({ max: 23 }),
    campaign: fc.string({ unit: 'grapheme', maxLength: 8 }),
    price: fc.float({ min: 0, max: 100, noNaN: true }),
  })
  const encode: Record<string, [string, (values: any[]) => ArrayBufferView]> = {
    country: ['BYTES', stringBytes],
    hour: ['UINT8', (values) => Uint8Array.from(values)],
    campaign: ['BYTES', stringBytes],
    price: ['FP32', (values) => Float32Array.from(values)],
  }
  const names = fc.shuffledSubarray(Object.keys(encode), { minLength: 4 })
  const property = fc.asyncProperty(
    fc.array(row, { minLength: 1, maxLength: 6 }),
    names,
    fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    async (rows, order, binary) => {
      const { body } = await predict({ candidates: rows })
      const tensors: ArrayBufferView[] = []
      const inputs = order.map((name, i) => {
        const values = rows.map((row) => row[name as keyof typeof row])
        const [datatype, toBytes] = encode[name]!
        const input = { name, shape: [rows.length], datatype }
        if (!binary[i]) return { ...input, data: values }
        const bytes = toBytes(values)
        tensors.push(bytes)
        return { ...input, parameters: { binary_data_size: bytes.byteLength } }
      })
      const answer = await infer({ inputs }, ...tensors)
      return taskOf(answer, 'ctcvr').every((value, i) => value === body.predictions[i].ctcvr)
    },
  )
  await fc.assert(property, { numRuns: randomCases(60) })
})

const good = [integers('hour', [3]), strings('campaign', ['a', 'b']), floats('price', [1, 2])]
const [hour, campaign, price] = good as [object, object, object]
for (const [inputs, message] of [
  [[hour, campaign], /^input "price" is required/],
  [[hour, campaign, floats('price', [1, 2, 3])], /^input "campaign" has 2 values where the request has 3 rows$/],
  [[...good, strings('id', ['x'])], /^input "id" has 1 values where the request has 2 rows$/],
  [
    [...good, strings('id', ['x', 'y']), floats('bid', [1, -2])],
    /^input "bid"\[1\] must be a finite number of at least 0/,
  ],
  [[integers('hour', [24]), campaign, price], /^input "hour" must be from 0 to 23/],
  [[integers('hour', [3, 25]), campaign, price], /^input "hour"\[1\] must be from 0 to 23/],
  [[strings('hour', ['3']), campaign, price], /^input "hour" must be an? (number|integer), not a string/],
  [[hour, integers('campaign', [1, 2]), price], /^input "campaign"\[0\] must be a string, not a number; input /],
  [[hour, campaign, floats('price', [1, 'x'])], /^input "price"\[1\] must be a number/],
  [[hour, strings('campaign', ['a', 7]), price], /^input "campaign"\[1\] must be a string/],
  [
    [hour, campaign, { ...price, datatype: 'FP16' }],
    /^input "price" can't have the datatype "FP16": it takes BYTES, BOOL,/,
  ],
  [[hour, campaign, floats('price', [1, 2], [1, 2])], /^input "price" must have the shape \[rows\] or \[rows, 1\]/],
  [[hour, campaign, floats('price', [1, 2], [2, 1, 1])], /^input "price" must have the shape/],
  [[hour, campaign, floats('price', [], [0])], /at least one row, not \[0\]/],
  [[hour, campaign, floats('price', [1, 2], [7])], /has 2 values where its shape takes 7/],
  [
    [...good, floats('campain', [1, 2])],
    /^input "campain" is not known \(did you mean "campaign"\?\): the model has "sparse", "dense", or the features "country", "hour"/,
  ],
  [[...good, floats('__proto__', [1, 2])], /^input "__proto__" is not known/],
  [[{ ...sparse, data: [...ids] }, hour], /^input "sparse" is an encoded tensor, and stands beside features by name/],
  [[strings('sparse', ['a', 'b'])], /^input "sparse" can't have the datatype "BYTES"/],
  [[floats('other', [1])], /^input "other" is not known: the model has "sparse", "dense", or the features/],
] as const) {
  t.test(`${message.source} is told`, async (t) => {
    t.match(errorOf(t, await infer({ inputs }), 400), message)
  })
}

t.test('where the graph has inputs called as features are, BYTES says that features are meant', async (t) => {
  const encoder = createEncoder(testFeatures)
  const tensors = ['country', 'hour'].map((name, column) => ({ name, dims: [], width: 1, role: 'sparse', column }))
  const limits = { maxRequestRows: 20, maxDelayMs: 0 }
  const model = {
    encoder,
    manifestless: false,
    limits,
    tensors: { inputs: tensors, outputs: [] },
  } as unknown as LoadedModel
  const read = (...inputs: object[]) => readRows(readBody(Buffer.from(JSON.stringify({ inputs })), undefined), model)
  t.match(read(strings('country', ['DE']), integers('hour', [21])), {
    form: 'columns',
    candidates: { country: ['DE'], hour: [21] },
  })
  t.match(read(integers('country', [0]), integers('hour', [5])), {
    form: 'inputs',
    inputs: { country: { rows: 1 }, hour: { rows: 1 } },
  })
  t.match(read(integers('country', [0, 1]), floats('price', [5])), {
    form: 'columns',
    context: { price: 5 },
    candidates: { country: [0, 1] },
  })
})

t.test('too many rows are 413, whatever values there are', async (t) => {
  const lying = [hour, campaign, floats('price', [1, 2], [1e15])]
  t.match(errorOf(t, await infer({ inputs: lying }), 413), /has 1000000000000000 rows; at most 20/)
  const campaigns = new Array(21).fill('c')
  const inputs = [
    hour,
    strings('campaign', campaigns),
    floats(
      'price',
      campaigns.map(() => 1),
    ),
  ]
  t.match(errorOf(t, await infer({ inputs }), 413), /21 rows/)
})

t.test('bytes that are left over are told', async (t) => {
  const bytes = stringBytes(['a', 'b'])
  const binary = { name: 'campaign', shape: [2], datatype: 'BYTES', parameters: { binary_data_size: bytes.length } }
  t.match(errorOf(t, await infer({ inputs: [hour, binary, price] }, bytes, new Uint8Array(3)), 400), /3 bytes more/)
  const short = { ...binary, parameters: { binary_data_size: bytes.length - 1 } }
  t.match(
    errorOf(t, await infer({ inputs: [hour, short, price] }, bytes), 400),
    /^input "campaign"\[1\] is said to have 1 bytes/,
  )
})

t.test('encoded tensors stay what they were', async (t) => {
  const inputs = [
    { ...sparse, data: [...ids] },
    { ...dense, data: [...numbers] },
  ]
  t.equal((await infer({ inputs })).status, 200)
  const flags = { ...sparse, shape: [1, 3], datatype: 'BOOL', data: [true, true, true] }
  t.match(
    errorOf(t, await infer({ inputs: [flags, { ...dense, shape: [1, 2], data: [1, 2] }] }), 400),
    /"sparse"\[0, 1\] is not an id of hour/,
  )
})

t.test(
  'FP64 for an input that is FP32 is rounded to float32, as the metadata says, and refused beyond its range',
  async (t) => {
    const values = [0.1, 1 / 3]
    const ask = (datatype: 'FP32' | 'FP64', given: ArrayBufferView) => {
      const shape = [1, 2]
      const parameters = { binary_data_size: given.byteLength }
      const ids = { name: 'sparse', shape: [1, 3], datatype: 'INT32', data: [1, 25, 28] }
      return infer({ inputs: [ids, { name: 'dense', shape, datatype, parameters }] }, given)
    }
    const single = await ask('FP32', Float32Array.from(values))
    t.equal(single.status, 200, single.text)
    t.equal((await ask('FP64', Float64Array.from(values))).text, single.text)
    t.equal(
      errorOf(t, await ask('FP64', Float64Array.of(0, 1e39)), 400),
      'input "dense"[0, 1] is too large for float32',
    )
    const metadata = (await fastify.inject('/v2/models/ads')).json()
    t.ok(metadata.parameters.datatypes.dense.includes('FP64'))
    t.notOk(metadata.parameters.datatypes.sparse.includes('FP64'))
  },
)
