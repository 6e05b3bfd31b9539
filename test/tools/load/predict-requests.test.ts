import t from 'tap'
import type { Features, Field } from '../../../src/schemas/features.ts'
import { createPredictRequests, type PredictRequestsOptions } from '../../../src/tools/load/predict-requests.ts'

const numeric = (name: string, side: Field['side']): Field => ({
  name,
  side,
  kind: 'numeric',
  scaling: { method: 'standard', mean: 1000, deviation: 1000 },
  missing: 'error',
})
const hash = (name: string, side: Field['side']): Field => ({
  name,
  side,
  kind: 'hash',
  buckets: 1e6,
  seed: 0,
  missing: 'error',
})
const country: Field = {
  name: 'country',
  side: 'context',
  kind: 'vocabulary',
  values: ['DE', 'Österreich'],
  out_of_vocabulary: 'error',
  missing: 'error',
}
const features: Features = [country, hash('ad', 'candidate'), numeric('price', 'candidate'), numeric('gap', 'cross')]

const create = (change: Partial<PredictRequestsOptions> = {}) =>
  createPredictRequests({ model: 'ads', features, candidates: 20, cached: 0.5, distinct: 10, seed: 1, ...change })

/** The head and the body of a request, whose length must be what its head says. */
function parse(request: Buffer): { head: string; body: any } {
  const [head, body] = request.toString().split('\r\n\r\n') as [string, string]
  t.equal(Number(/content-length: (\d+)/.exec(head)![1]), Buffer.byteLength(body))
  return { head, body: JSON.parse(body) }
}

t.test('requests are complete: each with its context, and columns of all other fields', async (t) => {
  const { requests, meanBytes } = create()
  t.equal(requests.length, 10)
  t.equal(meanBytes, requests.reduce((sum, { length }) => sum + length, 0) / 10)
  const { head, body } = parse(requests[0]!)
  t.match(head, /^POST \/predict HTTP\/1\.1\r\nhost: localhost\r\ncontent-type: application\/json\r\n/)
  t.same(Object.keys(body), ['model', 'context', 'candidates'])
  t.ok(['DE', 'Österreich'].includes(body.context.country))
  t.same(Object.keys(body.candidates).sort(), ['ad', 'gap', 'price'])
  for (const values of Object.values<unknown[]>(body.candidates)) t.equal(values.length, 20)
  t.same(create().requests[3], create().requests[3])
  t.notSame(create({ seed: 2 }).requests[3], create().requests[3])
})

/** All candidates of all requests in some rounds. */
function candidatesOf(change: Partial<PredictRequestsOptions>, rounds: number): string[] {
  const { requests, refresh } = create(change)
  const all: string[] = []
  for (let index = 0; index < rounds * requests.length; index++) {
    refresh(index)
    const { ad = [], price = [] } = parse(requests[index % requests.length]!).body.candidates
    for (let i = 0; i < 20; i++) all.push(`${ad[i]} ${price[i]}`)
  }
  return all
}

t.test('new candidates never repeat, not even in a later round; the others are of a catalogue', async (t) => {
  for (const some of [features, [country, hash('ad', 'candidate')]]) {
    t.equal(new Set(candidatesOf({ features: some, cached: 0 }, 3)).size, 3 * 10 * 20)
    const half = candidatesOf({ features: some, cached: 0.5, distinct: 200 }, 3)
    const times = new Map<string, number>()
    for (const candidate of half) times.set(candidate, (times.get(candidate) ?? 0) + 1)
    const share = half.filter((candidate) => times.get(candidate)! > 1).length / half.length
    t.ok(Math.abs(share - 0.5) < 0.05, `${share}`)
  }
  t.ok(new Set(candidatesOf({ cached: 1, distinct: 200 }, 3)).size <= 1000)
})

t.test('candidates without fields of their own, or with lists alone, are possible', async (t) => {
  t.same(parse(create({ features: [country], candidates: 2 }).requests[0]!).body.candidates, [{}, {}])
  const listed = create({ features: [country, { ...country, name: 'size', side: 'candidate' }] })
  listed.refresh(25)
  t.equal(parse(listed.requests[5]!).body.candidates.size.length, 20)
})

t.test('lists and vectors are drawn on their side, and a vector changes where nothing else can', async (t) => {
  const views: Field = {
    ...{ name: 'views', side: 'context', kind: 'shared', table: 'ad', out_of_vocabulary: 'drop' },
    ...{ missing: { default: [] }, list: { max: 5, padding: 0 } },
  }
  const ad: Field = {
    ...{ name: 'ad', side: 'candidate', kind: 'integer', size: 9 },
    ...{ out_of_vocabulary: 'error', missing: 'error' },
  }
  const image: Field = { name: 'image', side: 'candidate', kind: 'vector', length: 2, missing: 'error' }
  const { requests, refresh } = create({ features: [views, ad, image], cached: 0 })
  const imagesOf = () => requests.flatMap((request) => parse(request).body.candidates.image.map(String))
  const { context, candidates } = parse(requests[0]!).body
  t.ok(Array.isArray(context.views) && context.views.length <= 5)
  t.same([candidates.ad.length, candidates.image[0].length], [20, 2])
  const before = imagesOf()
  for (let index = 0; index < 2 * requests.length; index++) refresh(index)
  t.equal(new Set([...before, ...imagesOf()]).size, 2 * before.length)
})

t.test('requests by id have keys, and no features that a table has', async (t) => {
  const ads = Array.from({ length: 5000 }, (_, i) => `ad-${i}`)
  const keys = [
    { key: 'ad_id', side: 'candidate' as const, features: ['ad', 'price'], keys: ads },
    { key: 'user_id', side: 'context' as const, features: ['country'], keys: ['u1', 'u2'] },
  ]
  const { requests, refresh } = create({ keys, cached: 0 })
  refresh(25)
  const bodies = requests.map((request) => parse(request).body)
  for (const { context, candidates } of bodies) {
    t.same(Object.keys(context), ['user_id'])
    t.same(Object.keys(candidates), ['ad_id', 'gap'])
    t.equal(candidates.ad_id.length, 20)
  }
  const asked = bodies.flatMap(({ candidates }) => candidates.ad_id)
  t.ok(asked.every((key: string) => ads.includes(key)) && new Set(asked).size > 150)
  // Features that are sent change from round to round, as without keys.
  const priced = create({ keys: [{ ...keys[0]!, features: ['ad'] }], cached: 0 })
  const before = parse(priced.requests[0]!).body.candidates
  priced.refresh(10)
  const after = parse(priced.requests[0]!).body.candidates
  t.same(after.ad_id, before.ad_id)
  t.notSame(after.price, before.price)
})
