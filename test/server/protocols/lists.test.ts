import t, { type Test } from 'tap'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { inferBody, stringBytes } from '../../support/infer-body.ts'
import { listCandidates, listContext, listFeatures } from '../../support/list-features.ts'
import { startTestServer } from '../../support/server.ts'

/* Lists and vectors over HTTP: what is right is answered alike, and what is wrong is refused with its place. */

const models = await temporaryFolder(t)
await writeTestBundle(models, { manifest: { features: listFeatures } })
const maxListValues = 2000
const { fastify, predict, metrics } = await startTestServer(t, {
  models,
  maxBodyBytes: 20_000_000,
  limits: { maxListValues, maxRequestRows: 500 },
})

async function post(url: string, body: unknown, headers: Record<string, string> = {}) {
  const payload = body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body)
  const answer = await fastify.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': 'application/json', ...headers },
  })
  return { status: answer.statusCode, body: answer.json() }
}
const infer = (...inputs: object[]) => post('/v2/models/ads/infer', { inputs })
const serve = (body: object) => post('/v1/models/ads:predict', body)

const tensor = (name: string, datatype: string, shape: number[], data: unknown[]) => ({ name, datatype, shape, data })
const [plain, , other] = listCandidates
const columns = Object.fromEntries(
  Object.keys(plain!).map((name) => [name, listCandidates.map((row) => row[name as keyof typeof row])]),
) as Record<string, any[]>
const single = [
  tensor('country', 'BYTES', [1], ['DE']),
  tensor('hour', 'INT64', [1], [21]),
  tensor('campaign', 'BYTES', [3], columns.campaign!),
  tensor('price', 'FP64', [3], columns.price!),
  tensor('item', 'BYTES', [3], columns.item!),
]
const image = tensor('image', 'FP32', [3, 2], columns.image!)
const context = [
  tensor('history', 'BYTES', [1, 5], listContext.history),
  tensor('ages', 'FP32', [1, 5], [listContext.ages]),
]
const tags = (values: unknown[], offsets: unknown[], datatype = 'BYTES') => [
  tensor('tags', datatype, [values.length], values),
  tensor('tags.offsets', 'INT32', [offsets.length], offsets),
]
const ragged = tags(['x', 'y', 'q', 'x'], [0, 1, 1, 4])

t.test('every protocol answers lists alike', async (t) => {
  const expected = await predict({ context: listContext, candidates: listCandidates })
  t.equal(expected.status, 200)
  const ctr = expected.body.predictions.map((row: any) => row.ctr)
  const byTensor = (answer: any) => answer.body.outputs?.find(({ name }: any) => name === 'ctr')?.data
  t.same(byTensor(await infer(...single, ...context, ...ragged, image)), ctr)
  const repeated = context.map(({ name, datatype, data }) => {
    const row = data.flat()
    return tensor(name, datatype, [3, 5], [row, row, row])
  })
  t.same(byTensor(await infer(...repeated, image, ...ragged.toReversed(), ...single)), ctr, 'given for each row')
  const parts = [stringBytes(['x', 'y', 'q', 'x']), Int32Array.of(0, 1, 1, 4), Float32Array.from(columns.image!.flat())]
  const binary = [...ragged, image].map(({ data: _, ...input }, i) => ({
    ...input,
    parameters: { binary_data_size: parts[i]!.byteLength },
  }))
  const { payload, headers } = inferBody({ inputs: [...single, ...context, ...binary] }, ...parts)
  t.same(byTensor(await post('/v2/models/ads/infer', payload, headers)), ctr, 'as bytes')
  const instances = listCandidates.map((row) => ({ ...listContext, ...row }))
  t.same(
    (await serve({ instances })).body.predictions.map((row: any) => row.ctr),
    ctr,
  )
  t.same((await serve({ context: listContext, inputs: columns })).body.outputs.ctr, ctr)
})

t.test('metadata says how lists and vectors are sent', async (t) => {
  const { parameters } = (await fastify.inject('/v2/models/ads')).json()
  const of = (name: string) => parameters.features.find((feature: any) => feature.name === name)
  t.match(of('history'), { datatype: 'BYTES', shape: [-1, -1], side: 'context', offsets: 'history.offsets' })
  t.match(of('ages'), { datatype: 'FP64', shape: [-1, -1], weights: undefined })
  t.match(of('tags'), { datatype: 'BYTES', shape: [-1, -1], offsets: 'tags.offsets', weights: 'tags.weights' })
  t.match(of('image'), { datatype: 'FP32', shape: [-1, 2], offsets: undefined })
  t.match(of('price'), { shape: [-1], offsets: undefined })
  const { metadata } = (await fastify.inject('/v1/models/ads/metadata')).json()
  const { inputs } = metadata.signature_def.signature_def.features
  t.same(
    inputs.tags.tensor_shape.dim.map(({ size }: any) => size),
    ['-1', '-1'],
  )
})

t.test('a field that shares a table has its values', async (t) => {
  const values = async (field: string) => (await fastify.inject(`/models/ads/fields/${field}/values`)).json()
  t.match(await values('history'), { field: 'history', total: 3, values: ['a', 'b', 'c'] })
  t.match((await values('ages')).detail, /no list of values; those that have one: country, history, item, tags$/)
})

/** The place and the problem, by the form of the error. */
function refused(t: Test, { status, body }: Awaited<ReturnType<typeof post>>, message: RegExp): void {
  t.equal(status, 400, JSON.stringify(body).slice(0, 300))
  t.match(body.error ?? body.errors.map(({ path, message }: any) => `${path} ${message}`).join('; '), message)
}

const row = (change: object) => predict({ context: listContext, candidates: [{ ...plain, ...change }] })
const column = (tags: unknown) => predict({ context: listContext, candidates: { ...columns, tags } })
const instance = (change: object) => serve({ instances: [{ ...listContext, ...plain, ...change }] })
const lists = (...inputs: object[]) => infer(...single, ...context, image, ...inputs)
const values = ['x', 'y', 'x']
const many = new Array<string>(1e6).fill('x')
const beyond = /tags"?(?:\/0)? has values beyond the 2000 that the lists and vectors/

for (const [name, ask, message] of [
  ['a value for a list', () => row({ tags: 'x' }), /^\/candidates\/0\/tags must be an array, not a string$/],
  ['a list for a value', () => row({ item: ['a'] }), /^\/candidates\/0\/item must be a string, not an array$/],
  ['null in a list', () => row({ tags: ['x', null] }), /^\/candidates\/0\/tags\/1 must be a string, not null$/],
  ['a list of lists', () => row({ tags: [['x']] }), /^\/candidates\/0\/tags\/0 must be a string, not an array$/],
  ['a short vector', () => row({ image: [1] }), /^\/candidates\/0\/image has 1 numbers, not 2$/],
  ['fewer weights', () => row({ tags: { values: ['x'], weights: [] } }), /tags\/weights has 0 weights for 1 values$/],
  ['a negative weight', () => row({ tags: { values: ['x'], weights: [-1] } }), /tags\/weights\/0 must be a finite/],
  ['a million values', () => row({ tags: many }), beyond],
  [
    'null in a column',
    () => column({ values: ['x', 'y', null], offsets: [0, 1, 1, 3] }),
    /^\/candidates\/tags\/values\/2 /,
  ],
  [
    'a negative weight in a column',
    () => column({ values, offsets: [0, 1, 1, 3], weights: [1, 1, -1] }),
    /^\/candidates\/tags\/weights\/2 must be a finite/,
  ],
  [
    'inputs: null in a column',
    () => serve({ context: listContext, inputs: { ...columns, tags: { values: [null], offsets: [0, 1, 1, 1] } } }),
    /^\/inputs\/tags\/values\/0 must be a string, not null$/,
  ],
  ['offsets that run back', () => column({ values, offsets: [0, 2, 1, 3] }), /offsets\/2 is 1, less than the offset/],
  ['offsets that overrun', () => column({ values, offsets: [0, 1, 1, 9] }), /offsets\/3 is 9, beyond the 3 values$/],
  ['offsets that lie', () => column({ values, offsets: [0, 1, 1, 2] }), /offsets\/3 is 2, but there are 3 values$/],
  ['a million in a column', () => column({ values: many, offsets: [0, 0, 0, 1e6] }), /tags\/2 has values beyond/],
  ['instances: a value', () => instance({ tags: 'x' }), /^\/instances\/0\/tags must be an array, not a string$/],
  ['instances: null', () => instance({ tags: ['x', null] }), /^\/instances\/0\/tags\/1 must be a string, not null$/],
  ['instances: a million', () => instance({ tags: many }), beyond],
  ['instances: a sequence', () => instance({ ages: [1] }), /^\/instances\/0\/ages has 1 values where "history"/],
  ['instances: base64', () => instance({ tags: [{ b64: '?' }] }), /^\/instances\/0\/tags\/0 must be base64 of UTF-8/],
  [
    'inputs: a vector',
    () => serve({ context: listContext, inputs: { ...columns, image: [[1], [1, 2], [1, 2]] } }),
    /^\/inputs\/image\/0 has 1 numbers, not 2$/,
  ],
  ['tensors: one list', () => lists(tensor('tags', 'BYTES', [1, 1], ['x'])), /^input "tags" has 1 list where the .* 3/],
  [
    'tensors: one vector',
    () => infer(...single, tensor('image', 'FP32', [1, 2], [1, 2])),
    /^input "image" has 1 vector/,
  ],
  ['tensors: two lists', () => lists(tensor('tags', 'BYTES', [2, 1], values)), /^input "tags" has 3 values where its/],
  [
    'tensors: a short vector',
    () => infer(...single, tensor('image', 'FP32', [3, 1], [1, 2, 3])),
    /the shape \[rows, 2\]/,
  ],
  [
    'tensors: no offsets',
    () => lists(tensor('tags', 'BYTES', [3], values)),
    /\[rows, n\] .*or \[values\] beside "tags.off/,
  ],
  [
    'tensors: only offsets',
    () => lists(ragged[1]!),
    /^input "tags.offsets" belongs to input "tags", which is not given$/,
  ],
  [
    'tensors: rows and offsets',
    () => lists(tensor('tags', 'BYTES', [3, 1], values), ragged[1]!),
    /beside "tags.offs.*\[3, 1\]$/,
  ],
  ['tensors: run back', () => lists(...tags(values, [0, 2, 1, 3])), /^input "tags.offsets"\[2\] is 1, less than/],
  ['tensors: overrun', () => lists(...tags(values, [0, 1, 1, 9])), /^input "tags.offsets"\[3\] is 9, beyond the 3/],
  [
    'tensors: offsets of no list',
    () => lists(...tags([], [0])),
    /^input "tags.offsets" must have the shape \[rows \+ 1\]/,
  ],
  ['tensors: fractions', () => lists(...tags(values, [0, 0.5, 1, 3])), /^input "tags.offsets"\[1\] must be an integer/],
  [
    'tensors: offsets of the context lie',
    () =>
      infer(...single, tensor('history', 'BYTES', [2], ['a', 'b']), tensor('history.offsets', 'INT32', [2], [0, 1])),
    /^input "history.offsets"\[1\] is 1, but there are 2 values$/,
  ],
  [
    'tensors: strings for offsets',
    () => lists(ragged[0]!, { ...ragged[1]!, datatype: 'BYTES' }),
    /can't have the datatype/,
  ],
  [
    'tensors: null in a list',
    () => lists(...tags(['x', null, 'x'], [0, 1, 1, 3])),
    /^input "tags"\[1\] must be a string/,
  ],
  [
    'tensors: numbers for strings',
    () => lists(...tags([1, 2, 3], [0, 1, 1, 3], 'INT64')),
    /^input "tags"\[0, 0\] must be a string, not a number; input "tags"\[2, 0\] must .*input "tags"\[2, 1\]/,
  ],
  [
    'tensors: fewer weights',
    () => lists(...ragged, tensor('tags.weights', 'FP32', [1], [1])),
    /^input "tags.weights" must have the shape of the values, \[4\], not \[1\]$/,
  ],
  [
    'tensors: a negative weight',
    () => lists(...ragged, tensor('tags.weights', 'FP32', [4], [1, 1, -1, 1])),
    /^input "tags.weights"\[2, 1\] must be a finite number/,
  ],
  [
    'tensors: weights of no weighted list',
    () => lists(...ragged, tensor('history.weights', 'FP32', [1, 5], [1, 1, 1, 1, 1])),
    /^input "history.weights" is given, but the list has no weights$/,
  ],
  [
    'tensors: a sequence',
    () => infer(...single, context[0]!, tensor('ages', 'FP32', [1, 1], [1])),
    /^input "ages" has 1 values where "history"/,
  ],
  [
    'tensors: a bad value of the context',
    () => infer(...single, context[0]!, tensor('ages', 'FP32', [1, 5], [1, 1, -1, 1, 1])),
    /^input "ages"\[0, 2\] must be greater than/,
  ],
  ['tensors: a million values', () => lists(...tags(many, [0, 0, 0, 1e6])), beyond],
  ['tensors: a lying shape', () => lists(tensor('tags', 'BYTES', [3, 1e15], values)), beyond],
  [
    'tensors: a list for a value',
    () => infer(...single.slice(1), tensor('country', 'BYTES', [1, 2], ['DE', 'FR'])),
    /^input "country" must have the shape \[rows\]/,
  ],
  [
    'encoded: a short row',
    () => predict({ sparse: [[1, 2]], dense: [[1, 2]] }),
    /^\/sparse\/0 has 2 values, not \d+; \/dense\/0/,
  ],
  [
    'encoded: a foreign id',
    () => predict({ sparse: [new Array(9).fill(0)], dense: [new Array(11).fill(0)] }),
    /is not an id of/,
  ],
] as const) {
  t.test(`${name} is refused with its place`, async (t) => refused(t, (await ask()) as never, message))
}

t.test('rows of lists are bounded by their offsets', async (t) => {
  const offsets = new Array<number>(502).fill(0)
  const { status, body } = await infer(...single.slice(2, 2), ...tags([], offsets))
  t.equal(status, 413)
  t.match(body.error, /501 rows; at most 500/)
})

t.test('unknown and cut values are named by candidate, and counted', async (t) => {
  const options = { unknown: true }
  const { body } = await predict({ context: listContext, candidates: [plain, other], options })
  t.same(body.predictions[0].unknown, ['history[1]'])
  t.same(body.predictions[1].unknown, ['item', 'history[1]', 'tags[1]'])
  t.same(body.predictions[0].cut, ['history', 'ages'])
  t.same(body.predictions[1].cut, ['history', 'ages', 'tags'])
  const text = await metrics.registry.metrics()
  t.match(text, /multigate_cut_values_total\{[^}]*feature="tags"[^}]*\} \d+/)
})
