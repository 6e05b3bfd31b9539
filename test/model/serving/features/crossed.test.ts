import t from 'tap'
import { contradictions } from '../../../../src/model/serving/bundle/consistency.ts'
import { fillCrossed } from '../../../../src/model/serving/features/crossed.ts'
import { createEncoder, encoderFrom } from '../../../../src/model/serving/features/encoder.ts'
import type { EncodeOptions } from '../../../../src/model/serving/features/layout.ts'
import { tensorsOf } from '../../../../src/model/serving/prediction/tensors.ts'
import type { CrossedField, Features } from '../../../../src/schemas/features.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'
import { problemsOf } from '../../../support/problems-of.ts'

// Ids: country 0–2, hour 3–26, campaign 27–29, creative 30–79.
const { features } = exampleManifest()
const exact: CrossedField = { name: 'country_campaign', of: ['country', 'campaign'], buckets: 1000, seed: 0 }
const hashed: CrossedField = { name: 'place', of: ['hour', 'campaign'], buckets: 5, seed: 7 }
const crossed = [exact, hashed, { ...exact, name: 'page', of: ['country', 'hour'] }]
const encoder = createEncoder(features, { crossed })
const { layout } = encoder
const width = layout.sparse.length
const options: EncodeOptions = { maxRows: 1000, partial: false }
const context = { country: 'DE', hour: 20 }
const candidates = [
  { campaign: 'c1', creative: 'x', price: 1 },
  { campaign: 'c2', creative: 'y', price: 2 },
]
const byRows = encoder.rows(context, candidates, options)

t.test('a column for each, after all others, with the side of its parts', async (t) => {
  t.same(
    layout.crossed.map(({ field, offset, ids }) => [field.name, field.side, offset, ids]),
    [
      ['country_campaign', 'cross', 80, 9],
      ['place', 'cross', 89, 5],
      ['page', 'context', 94, 72],
    ],
    'as many ids as combinations, where they are fewer than the buckets',
  )
  t.equal(layout.ids, 166)
  t.equal(width, 7)
  t.same(
    layout.slots.map(({ name }) => name),
    features.map(({ name }) => name),
    'requests know none of them',
  )
})

t.test('few combinations have an id each', async (t) => {
  const seen = new Set<number>()
  for (let country = 0; country < 3; country++)
    for (let campaign = 27; campaign < 30; campaign++) {
      const sparse = Int32Array.of(country, 3, campaign, 30, 0, 0, 0)
      fillCrossed(layout.crossed, sparse, width, 0, 1)
      t.equal(sparse[4], 80 + 3 * country + (campaign - 27))
      seen.add(sparse[4]!)
    }
  t.equal(seen.size, 9)
})

// mmh3.hash(struct.pack(f'<{len(ids)}i', *ids), seed, signed=False) % buckets, by Python's mmh3 5.
for (const { ids, seed, buckets, id } of [
  { ids: [3, 5], seed: 7, buckets: 100, id: 82 },
  { ids: [0, 0], seed: 0, buckets: 10, id: 6 },
  { ids: [2 ** 31 - 1, 12345, 6], seed: 0, buckets: 1_000_003, id: 763_384 },
  { ids: [40, 11], seed: 4294967295, buckets: 97, id: 77 },
])
  t.test(`many combinations are hashed as in Python: ${ids}`, async (t) => {
    const parts = ids.map((_, column) => ({ column, offset: 0, ids: 2 ** 31 }))
    const sparse = Int32Array.from([...ids, 0])
    fillCrossed(
      [{ column: ids.length, offset: 0, ids: buckets, hashed: true, field: { seed }, parts }],
      sparse,
      ids.length + 1,
      0,
      1,
    )
    t.equal(sparse.at(-1), id)
  })

t.test('rows, columns and tensors are crossed alike', async (t) => {
  const byColumns = encoder.columns(context, { campaign: ['c1', 'c2'], creative: ['x', 'y'], price: [1, 2] }, options)
  t.same([...byColumns.sparse], [...byRows.sparse])
  const given = [0, 1].map((row) => [...byRows.sparse.subarray(row * width, row * width + 4)])
  const dense = [0, 1].map((row) => [...byRows.dense.subarray(row * 2, row * 2 + 2)])
  t.same([...encoder.tensors(given, dense, options).sparse], [...byRows.sparse])
  const again = encoderFrom(structuredClone(encoder.source))
  t.same([...again.rows(context, candidates, options).sparse], [...byRows.sparse], 'in another thread too')
})

t.test('tensors lack the columns of crossed fields, and rows that are left out are not crossed', async (t) => {
  const { tensors } = encoder
  t.same(
    problemsOf(() => tensors([[...byRows.sparse.subarray(0, width)]], [[0, 0]], options)),
    ['/sparse/0 has 7 values, not 4'],
  )
  const partly = tensors(
    [
      [0, 3, 99, 30],
      [2, 4, 29, 31],
      [1, 3, 27, 30],
    ],
    [
      [0, 0],
      [0, 1],
      [1, 0],
    ],
    { ...options, partial: true },
  )
  t.equal(partly.rows, 2)
  t.same([...partly.index!], [1, 2])
  t.equal(partly.sparse.length, 2 * width)
  t.same([...partly.sparse.subarray(0, 5)], [2, 4, 29, 31, 80 + 3 * 2 + 2])
  t.same([...partly.sparse.subarray(width, width + 5)], [1, 3, 27, 30, 80 + 3 * 1 + 0])
  const { inputs } = tensorsOf({ ...exampleManifest(), crossed }, layout, undefined, false)
  t.match(
    inputs.find(({ role }) => role === 'sparse'),
    { dims: [4], width: 4 },
  )
})

t.test('arrays of a batch are written in place', async (t) => {
  const sparse = new Int32Array(2 * width)
  const allocate = () => ({ sparse, dense: new Float32Array(4) })
  const { sparse: written } = encoder.tensors(
    [
      [0, 3, 27, 30],
      [2, 4, 29, 31],
    ],
    [
      [0, 0],
      [0, 1],
    ],
    { ...options, allocate },
  )
  t.equal(written.buffer, sparse.buffer)
  t.same([...sparse.subarray(width, width + 5)], [2, 4, 29, 31, 88])
})

t.test('a table for each field: ids from 0', async (t) => {
  const own = createEncoder(features, { crossed, ownIds: true })
  t.same(
    own.layout.crossed.map(({ offset }) => offset),
    [0, 0, 0],
  )
  const { sparse } = own.rows(context, candidates, options)
  t.same(
    [4, 5, 6].map((column) => sparse[column]! + layout.sparse[column]!.offset),
    [4, 5, 6].map((column) => byRows.sparse[column]),
  )
})

t.test('a request that gives one gets an error that says what it is', async (t) => {
  const problem = 'country_campaign is computed from country × campaign: leave it out'
  t.same(
    problemsOf(() => encoder.rows(context, [{ ...candidates[0], country_campaign: 'x' }], options)),
    [`/candidates/0/${problem}`],
  )
  t.same(
    problemsOf(() => encoder.rows({ ...context, country_campaign: 'x' }, candidates, options)),
    [`/context/${problem}`],
  )
})

t.test('each value of a list is combined as a single one, behind the id of padding', async (t) => {
  const tags: Features[number] = {
    ...{ name: 'tags', side: 'candidate', kind: 'vocabulary', values: ['a', 'b', 'c'], out_of_vocabulary: 'bucket' },
    ...{ missing: { default: [] }, list: { max: 3, keep: 'last' } },
  }
  const tag: Features[number] = { name: 'tag', side: 'candidate', kind: 'shared', table: 'tags', missing: 'error' }
  const all: Features = [tags, ...features, tag]
  for (const buckets of [5, 100_000]) {
    const of = (list: string) => ['country', list, 'campaign']
    const fields = [
      { name: 'of_list', of: of('tags'), buckets, seed: 7 },
      { name: 'of_one', of: of('tag'), buckets, seed: 7 },
    ]
    for (const ownIds of [false, true]) {
      const encoder = createEncoder(all, { crossed: fields, ownIds })
      const { layout } = encoder
      const [ofList, ofOne] = layout.crossed as [(typeof layout.crossed)[0], (typeof layout.crossed)[0]]
      t.equal(layout.sparse.length, 3 + 4 + 1 + 3 + 1)
      t.equal(ofList.ids, ofOne.ids + 1)
      const row = (values: string[]) => ({ campaign: 'c2', creative: 'y', price: 1, tag: 'a', tags: values })
      const lists = [['a', 'b'], [], ['c', 'nobody knows', 'b', 'a'], ['a']]
      const rows = encoder.rows(context, lists.map(row), options)
      const width = layout.sparse.length
      lists.forEach((values, i) => {
        const taken = values.slice(-3)
        const ids = taken.map((tag) => {
          const { sparse } = encoder.rows(context, [{ ...row([]), tag }], options)
          return sparse[ofOne.column]! - ofOne.offset + 1
        })
        const got = rows.sparse.subarray(i * width + ofList.column, i * width + ofList.column + 3)
        t.same(
          Array.from(got, (id) => id - ofList.offset),
          [...ids, 0, 0, 0].slice(0, 3),
        )
      })
      const names = ['campaign', 'creative', 'price', 'tag', 'tags'] as const
      const columns = Object.fromEntries(names.map((name) => [name, lists.map((values) => row(values)[name])]))
      t.same([...encoder.columns(context, columns, options).sparse], [...rows.sparse])
      const given = lists.map((_, i) => [...rows.sparse.subarray(i * width, i * width + 8)])
      const dense = lists.map((_, i) => [...rows.dense.subarray(i * 2, i * 2 + 2)])
      t.same([...encoder.tensors(given, dense, options).sparse], [...rows.sparse])
    }
  }
  const problems = (...of: string[]) =>
    contradictions({ ...exampleManifest(), features: [...all, { ...tags, name: 'more' }], crossed: [{ ...exact, of }] })
  t.same(problems('tags', 'country'), [])
  t.same(problems('tags', 'country', 'more'), [
    '/crossed/0/of/2 "more" is a list, as "tags" is: one of the fields may be a list',
  ])
})

t.test('manifests with crossed fields that make no sense', async (t) => {
  const problems = (...fields: Partial<CrossedField>[]) =>
    contradictions({ ...exampleManifest(), crossed: fields.map((field) => ({ ...exact, ...field })) })
  t.same(problems({}), [])
  t.same(problems({ of: ['country', 'country_campaign'] }), ['/crossed/0/of/1 is the field itself'])
  t.same(problems({ name: 'a', of: ['country', 'b'] }, { name: 'b', of: ['a', 'hour'] }), [
    '/crossed/0/of/1 "b" is crossed: name the fields that it is made of instead',
    '/crossed/1/of/0 "a" is crossed: name the fields that it is made of instead',
  ])
  t.same(problems({ of: ['country', 'campain'] }), [
    '/crossed/0/of/1 "campain" is not a field; did you mean "campaign"? It has country, hour, campaign, creative',
  ])
  t.same(problems({ of: ['country', 'price'] }), [
    '/crossed/0/of/1 "price" is numeric: only fields with ids can be crossed',
  ])
  const far = exampleManifest().features.map((field) =>
    field.name === 'price'
      ? { ...field, scaling: { method: 'standard' as const, mean: 0, deviation: 1, range: [-1e300, 1e300] } }
      : field,
  )
  t.same(contradictions({ ...exampleManifest(), features: far as Features }), [
    '/features/4/scaling/range is beyond float32 when it is scaled',
  ])
  t.same(problems({ name: 'hour' }, { name: 'x' }, { name: 'x' }), [
    '/crossed/0/name is used twice',
    '/crossed/2/name is used twice',
  ])
})
