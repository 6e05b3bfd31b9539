import t from 'tap'
import { murmur3 } from '../../../../src/base/hash.ts'
import { xxhash64 } from '../../../../src/base/hash64.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { EncodeOptions } from '../../../../src/model/serving/features/layout.ts'
import { murmur } from '../../../support/expected.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'
import { problemsOf } from '../../../support/problems-of.ts'

const encoder = createEncoder(exampleManifest().features)
const options: EncodeOptions = { maxRows: 1000, partial: false }
const partial: EncodeOptions = { ...options, partial: true }
const context = { hour: 21 }
const candidates = { campaign: ['c1', 'c3'], price: [10, 2] }

const columns = (context: unknown, candidates: unknown, asked = options) => encoder.columns(context, candidates, asked)
const problems = (context: unknown, candidates: unknown, asked = options) =>
  problemsOf(() => columns(context, candidates, asked))

/** The message on a name that is no field's. */
const unknown = 'is not a field of this model; it has country, hour, campaign, creative, price, age, id, bid'

t.test('the context holds for every row, and defaults fill the rest', async (t) => {
  const encoded = columns(context, candidates)
  t.equal(encoded.rows, 2)
  t.equal(encoded.requested, 2)
  t.same([...encoded.sparse], [2, 24, 27, murmur(''), 2, 24, 29, murmur('')])
  t.same([...encoded.dense], [2, 30, 0, 30])
  t.same(encoded.problems, [])
})

t.test('hashed values have the ids that they have as rows', async (t) => {
  const common = { kind: 'hash', missing: { default: '' } } as const
  const { columns, rows } = createEncoder([
    { ...common, name: 'user', side: 'context', hash: 'farmhash64', buckets: 1000 },
    { ...common, name: 'item', side: 'candidate', hash: 'xxhash64', buckets: 1000, seed: 42 },
    { ...common, name: 'shop', side: 'candidate', buckets: 1000, seed: 7 },
  ])
  const context = { user: 'test' }
  const item = ['a', 'größe', null]
  const shop = ['x', '', 'y']
  const byRow = item.map((value, row) => ({ item: value, shop: shop[row] }))
  const encoded = columns(context, { item, shop }, options)
  t.same(encoded.sparse, rows(context, byRow, options).sparse)
  t.same(encoded.sparse.slice(0, 3), [506, 1000 + xxhash64(1000, 42)('a'), 2000 + (murmur3('x', 7) % 1000)])
})

t.test('id and bid are kept by row', async (t) => {
  const encoded = columns(context, { ...candidates, id: ['a', 'b'], bid: [0.5, 2] })
  t.same(encoded.ids, ['a', 'b'])
  t.same(encoded.bids, [0.5, 2])
})

for (const [what, value] of Object.entries({ null: null, 'a string': 'x', 'an array': [], absent: undefined })) {
  t.test(`candidates that are ${what} are refused`, async (t) => {
    t.same(problems(context, value), [`/candidates must be an object of arrays, not ${what}`])
  })
}

t.test('a context that is no object is refused', async (t) => {
  t.same(problems(3, { ...candidates, hour: [1, 2] }), ['/context must be an object, not a number'])
})

t.test('candidates without a column are refused', async (t) => {
  t.same(problems({ ...context, campaign: 'c1', price: 1 }, {}), ['/candidates must have at least one column'])
})

t.test('columns without a value are refused', async (t) => {
  t.same(problems(context, { campaign: [], price: [] }), ['/candidates/campaign must have at least one value'])
})

t.test('a column that is no array is refused', async (t) => {
  t.same(problems(context, { ...candidates, price: 3 }), ['/candidates/price must be an array, not a number'])
})

t.test('ragged columns are refused, each that differs from the first', async (t) => {
  t.same(problems(context, { campaign: ['c1', 'c2'], price: [1], age: [1, 2], creative: ['', '', ''] }), [
    '/candidates/price has 1 values where "campaign" has 2',
    '/candidates/creative has 3 values where "campaign" has 2',
  ])
})

t.test('ragged ids and bids are refused too', async (t) => {
  t.same(problems(context, { ...candidates, id: ['a'], bid: [1, 2, 3] }), [
    '/candidates/id has 1 values where "campaign" has 2',
    '/candidates/bid has 3 values where "campaign" has 2',
  ])
})

t.test('ragged columns are refused in part as well', async (t) => {
  t.same(problems(context, { campaign: ['c1'], price: [1, 2] }, partial), [
    '/candidates/price has 2 values where "campaign" has 1',
  ])
})

t.test('more rows than allowed are refused as such', async (t) => {
  t.throws(() => columns(context, candidates, { ...options, maxRows: 1 }), { code: 'TOO_MANY_ROWS' })
})

t.test('a column that the model does not know is refused once, not by row', async (t) => {
  t.same(problems(context, { ...candidates, colour: [1, 2] }), [`/candidates/colour ${unknown}`])
})

t.test('a missing column without a default is refused once, not by row', async (t) => {
  t.same(problems(undefined, { campaign: ['c1', 'c2'] }), [
    '/context/hour is required: the field has no default',
    '/candidates/price is required: the field has no default',
  ])
})

t.test('a field in the context and in a column is refused once', async (t) => {
  t.same(problems(context, { ...candidates, hour: [1, 99] }), ['/candidates/hour is already given in the context'])
})

t.test('every wrong cell is told', async (t) => {
  t.same(
    problems(undefined, {
      hour: ['1', 1.5, -1, 24, 27, null],
      campaign: ['c1', 2, 'c9', null, 'c2', undefined],
      price: [1e40, Number.NaN, Number.POSITIVE_INFINITY, '3', [4], 5],
    }),
    [
      '/candidates/hour/0 must be an integer, not a string',
      '/candidates/hour/1 must be an integer',
      '/candidates/hour/2 must be from 0 to 23',
      '/candidates/hour/3 must be from 0 to 23',
      '/candidates/hour/4 must be from 0 to 23',
      '/candidates/hour/5 is required: the field has no default, and null counts as missing',
      '/candidates/campaign/1 must be a string, not a number',
      '/candidates/campaign/2 is not in the field\'s vocabulary: "c9"',
      '/candidates/campaign/3 is required: the field has no default, and null counts as missing',
      '/candidates/campaign/5 is required: the field has no default',
      '/candidates/price/0 is too large for float32',
      '/candidates/price/1 must be finite',
      '/candidates/price/2 must be finite',
      '/candidates/price/3 must be a number, not a string',
      '/candidates/price/4 must be a number, not an array',
    ],
  )
})

t.test('wrong ids and bids are told by row', async (t) => {
  t.same(problems(context, { ...candidates, id: ['a', true], bid: [-1, '2'] }), [
    '/candidates/id/1 must be a string or an integer, not a boolean',
    '/candidates/bid/0 must be a finite number of at least 0',
    '/candidates/bid/1 must be a number, not a string',
  ])
})

t.test('a column of bids is needed to rank by them', async (t) => {
  t.same(problems(context, candidates, { ...options, bids: true }), ['/candidates/bid is required to rank by ecpm'])
  t.equal(columns(context, { ...candidates, bid: [1, 2] }, { ...options, bids: true }).rows, 2)
})

t.test('names with slashes and tildes are escaped where they are told', async (t) => {
  t.same(problems(context, { ...candidates, 'a/b~c': [1, 2] }), [`/candidates/a~1b~0c ${unknown}`])
})

for (const name of ['__proto__', 'constructor', 'toString']) {
  t.test(`${name} is an unknown column like any other`, async (t) => {
    const given = JSON.parse(`{ "campaign": ["c1"], "price": [1], "${name}": [3] }`) as object
    t.same(problems(context, given), [`/candidates/${name} ${unknown}`])
  })

  t.test(`a column may be called ${name}`, async (t) => {
    const { columns } = createEncoder([
      { name, side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' },
    ])
    t.same([...columns(undefined, JSON.parse(`{ "${name}": [3, 4] }`), options).dense], [3, 4])
  })
}

t.test('at most a hundred problems are told', async (t) => {
  const rows = 300
  const told = problems(context, {
    campaign: new Array(rows).fill(1),
    price: new Array(rows).fill('x'),
  })
  t.equal(told.length, 100)
  t.equal(told.at(-1), '/candidates/campaign/99 must be a string, not a number')
})

t.test('in part, a row with any wrong cell is left out, the others move up', async (t) => {
  const encoded = columns(
    context,
    {
      campaign: ['c1', 'c9', 'c2', 'c3'],
      price: ['x', 2, 6, 10],
      id: ['a', 'b', 3, null],
      bid: [1, 2, 3, 4],
    },
    partial,
  )
  t.equal(encoded.requested, 4)
  t.equal(encoded.rows, 1)
  t.same([...(encoded.index ?? [])], [2])
  t.same([...encoded.sparse], [2, 24, 28, murmur('')])
  t.same([...encoded.dense], [1, 30])
  t.same(encoded.ids, ['a', 'b', 3, undefined])
  t.same(encoded.problems, [
    { path: '/candidates/campaign/1', message: 'is not in the field\'s vocabulary: "c9"' },
    { path: '/candidates/price/0', message: 'must be a number, not a string' },
    { path: '/candidates/id/3', message: 'must be a string or an integer, not null' },
  ])
})

t.test('in part, no row may be left', async (t) => {
  const encoded = columns(context, { campaign: [1, 2], price: [1, 2] }, partial)
  t.equal(encoded.requested, 2)
  t.equal(encoded.rows, 0)
  t.equal(encoded.index?.length, 0)
})

t.test('in part, bad rows beyond the hundredth problem are left out too', async (t) => {
  const campaign = [...new Array(250).fill(1), 'c1']
  const encoded = columns(context, { campaign, price: new Array(251).fill(1) }, partial)
  t.equal(encoded.problems.length, 100)
  t.same([...(encoded.index ?? [])], [250])
})

t.test('in part, a problem of a whole column still refuses the request', async (t) => {
  t.same(problems(context, { ...candidates, colour: [1, 2] }, partial), [`/candidates/colour ${unknown}`])
})
