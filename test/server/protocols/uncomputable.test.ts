import t from 'tap'
import { temporaryFolder, testFeatures, writeTestBundle } from '../../support/bundle.ts'
import { startTestServer } from '../../support/server.ts'

/*
 * Numbers that float32 holds, but with which the graph can't compute: the request's fault, of one row, in every
 * protocol.
 */

const models = await temporaryFolder(t)
// Weights make a number that is not scaled overflow.
const features = testFeatures.map((field) =>
  field.name === 'views' && field.kind === 'numeric' ? { ...field, scaling: { method: 'none' as const } } : field,
)
await writeTestBundle(models, { manifest: { features }, numberScale: 100 })
const lines: string[] = []
const logger = { level: 'info', stream: { write: (line: string) => lines.push(line) } }
const { fastify, predict } = await startTestServer(t, { models, logger })

const context = { country: 'DE', hour: 21 }
const ad = { campaign: 'c9', price: 1.25, views: 1 }
const huge = { ...ad, views: 3.4e38 }
const message = "can't be computed: views is too large for float32 arithmetic"

const post = async (url: string, payload: object) => {
  const answer = await fastify.inject({ method: 'POST', url, payload })
  return { status: answer.statusCode, body: answer.json() }
}

t.afterEach(() => {
  t.same(lines.splice(0), [], 'nothing is logged')
})

t.test('by row: it is refused with its place', async (t) => {
  const { status, body } = await predict({ context, candidates: [ad, huge, ad, huge] })
  t.equal(status, 400)
  t.equal(body.code, 'INVALID_REQUEST')
  t.same(body.errors, [
    { path: '/candidates/1', message },
    { path: '/candidates/3', message },
  ])
})

t.test('by row, in part: the others are answered', async (t) => {
  const good = await predict({ context, candidates: [ad] })
  const { status, body } = await predict({ context, candidates: [ad, huge, null, ad], options: { partial: true } })
  t.equal(status, 200)
  t.same(body.predictions, [good.body.predictions[0], null, null, good.body.predictions[0]])
  t.same(body.errors, [
    { path: '/candidates/2', message: 'must be an object, not null' },
    { path: '/candidates/1', message },
  ])
})

t.test('the context alone', async (t) => {
  const { status, body } = await predict({ context: { ...context, ...huge } })
  t.equal(status, 400)
  t.same(body.errors, [{ path: '/context', message }])
})

t.test('by column', async (t) => {
  const candidates = { campaign: ['c9', 'c9'], price: [1, 1], views: [1, 3.4e38] }
  const refused = await predict({ context, candidates })
  t.same([refused.status, refused.body.errors], [400, [{ path: '/candidates/views/1', message }]])
  const { status, body } = await predict({ context, candidates, options: { partial: true } })
  t.equal(status, 200)
  t.equal(typeof body.predictions.ctr[0], 'number')
  t.equal(body.predictions.ctr[1], null)
  t.same(body.errors, [{ path: '/candidates/views/1', message }])
})

const sparse = [
  [0, 4, 28],
  [0, 4, 28],
]
const dense = [
  [1, 1],
  [1, 3.4e38],
]

t.test('tensors, by role and by name', async (t) => {
  const byRole = await predict({ sparse, dense })
  t.same([byRole.status, byRole.body.errors], [400, [{ path: '/dense/1', message }]])
  const byName = await predict({ inputs: { sparse, dense } })
  t.same([byName.status, byName.body.errors], [400, [{ path: '/inputs/dense/1', message }]])
  const { status, body } = await predict({ sparse, dense, options: { partial: true } })
  t.equal(status, 200)
  t.equal(body.predictions[1], null)
})

t.test('TensorFlow Serving', async (t) => {
  const url = '/v1/models/ads:predict'
  t.same(await post(url, { context, instances: [ad, huge] }), {
    status: 400,
    body: { error: `/instances/1 ${message}` },
  })
  const inputs = { campaign: ['c9', 'c9'], price: [1, 1], views: [3.4e38, 1] }
  t.same((await post(url, { context, inputs })).body, { error: `/inputs/views/0 ${message}` })
  const instances = sparse.map((ids, i) => ({ sparse: ids, dense: dense[i] }))
  t.same((await post(url, { instances })).body, { error: `/instances/1/dense ${message}` })
  t.same((await post(url, { inputs: { sparse, dense } })).body, { error: `/inputs/dense/1 ${message}` })
})

t.test('the Open Inference Protocol', async (t) => {
  const url = '/v2/models/ads/infer'
  const inputs = [
    { name: 'sparse', shape: [2, 3], datatype: 'INT32', data: sparse },
    { name: 'dense', shape: [2, 2], datatype: 'FP32', data: dense },
  ]
  t.same(await post(url, { inputs }), { status: 400, body: { error: `input "dense"[1] ${message}` } })
  const features = [
    { name: 'hour', shape: [1], datatype: 'INT32', data: [7] },
    { name: 'campaign', shape: [2], datatype: 'BYTES', data: ['c9', 'c9'] },
    { name: 'price', shape: [2], datatype: 'FP32', data: [1, 1] },
    { name: 'views', shape: [2], datatype: 'FP32', data: [1, 3.4e38] },
  ]
  t.same((await post(url, { inputs: features })).body, { error: `input "views"[1] ${message}` })
})

t.test('large bodies, which are read in a thread of their own', async (t) => {
  const large = Array.from({ length: 400 }, (_, i) => ({ ...ad, campaign: 'c'.repeat(1000), ...(i === 7 && huge) }))
  const refused = await predict({ context, candidates: large })
  t.same([refused.status, refused.body.errors], [400, [{ path: '/candidates/7', message }]])
  const partial = await predict({ context, candidates: large, options: { partial: true, unknown: true } })
  t.equal(partial.status, 200)
  t.equal(partial.body.predictions[7], null)
  t.same(partial.body.predictions[8].unknown, [])
  const serving = await post('/v1/models/ads:predict', { context, instances: large })
  t.same(serving.body, { error: `/instances/7 ${message}` })
  const wrong = large.map((row, i) => (i === 3 ? { ...row, price: 'x' } : row))
  const options = { partail: true, rank: { by: 'cvt' } }
  const both = await predict({ context, candidates: wrong, tasks: ['crt'], options })
  t.same(both.body.errors.map(({ path }: { path: string }) => path).sort(), [
    '/candidates/3/price',
    '/options/partail',
    '/options/rank/by',
    '/tasks/0',
  ])
  const task = await predict({ context, candidates: large.slice(8), tasks: ['crt'] })
  t.same([task.status, task.body.errors.map(({ path }: { path: string }) => path)], [400, ['/tasks/0']])
})
