import t from 'tap'
import type { ModelError } from '../../../../src/base/errors.ts'
import { createUniform } from '../../../../src/base/hash.ts'
import { contradictions } from '../../../../src/model/serving/bundle/consistency.ts'
import { drawRow } from '../../../../src/model/serving/features/draw.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import { encodeExplained } from '../../../../src/model/serving/prediction/query-rows.ts'
import type { Features } from '../../../../src/schemas/features.ts'
import { fc } from '../../../support/cases.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'
import { viewedItems } from '../../../support/list-features.ts'

/*
 * The table of `item` has the ids 0 (unknown) to 3 (c); that of `tags` 4 (padding), 5 (unknown), 6 (x), 7 (y).
 */
const features: Features = [
  ...viewedItems('views'),
  {
    name: 'item',
    side: 'candidate',
    kind: 'vocabulary',
    values: ['a', 'b', 'c'],
    out_of_vocabulary: 'bucket',
    missing: 'error',
  },
  {
    name: 'tags',
    side: 'candidate',
    kind: 'vocabulary',
    values: ['x', 'y'],
    out_of_vocabulary: 'bucket',
    missing: 'error',
    list: { max: 2, weighted: true },
  },
  { name: 'image', side: 'candidate', kind: 'vector', length: 2, missing: { default: [0, 1] } },
]
const options = { maxRows: 100, partial: false }
const tags = [['x'], [], ['y', 'q', 'x']]
const candidates = tags.map((tags, i) => ({ item: 'abc'[i]!, tags, ...(i > 0 && { image: [i, -i] }) }))
const context = { history: ['a', 'zzz', 'b', 'c', 'a'], ages: [9, 8, 0, 2, 1] }
const log = (x: number) => Math.fround(Math.log1p(x))

/** The problems of a request in rows. */
function problemsOf(context: unknown, candidates: unknown, asked = {}): string[] {
  try {
    createEncoder(features).rows(context, candidates, { ...options, ...asked })
  } catch (error) {
    return (error as ModelError).problems!.map(({ path, message }) => `${path} ${message}`)
  }
  return []
}

t.test('a list takes as many columns as it may have values, then padding', async () => {
  const cuts: [string, number][] = []
  const unknown: string[] = []
  const encoder = createEncoder(features, {
    onCut: (field, values) => cuts.push([field, values]),
    onUnknown: (field) => unknown.push(field),
  })
  const { sparse, dense } = encoder.rows(context, candidates, options)
  t.same(
    [...sparse],
    [
      [2, 3, 1, 1, 6, 4],
      [2, 3, 1, 2, 4, 4],
      [2, 3, 1, 3, 7, 5],
    ].flat(),
  )
  const ages = [0, log(2), log(1)]
  t.same(
    [...dense],
    [
      [...ages, 1, 0, 0, 1],
      [...ages, 0, 0, 1, -1],
      [...ages, 1, 1, 2, -2],
    ].flat(),
    'the last three views; a dropped item is dropped from both lists of its sequence',
  )
  t.same(
    cuts,
    [
      ['history', 1],
      ['ages', 1],
      ['tags', 1],
    ],
    'values that fit nowhere are counted as cut',
  )
  t.same(unknown, ['history', 'tags'])
})

t.test('weights stand beside the values of a list', async () => {
  const weighted = { item: 'a', tags: { values: ['y', 'x', 'x'], weights: [0.5, 2, 9] } }
  const { sparse, dense } = createEncoder(features).rows({}, [weighted], options)
  t.same([...sparse], [0, 0, 0, 1, 7, 6])
  t.same([...dense], [0, 0, 0, 0.5, 2, 0, 1])
})

t.test('answers name unknown and cut values by candidate and position', async () => {
  const rows = { form: 'rows', context, candidates } as const
  const { unknown, cut } = encodeExplained(rows, createEncoder(features), [], options)
  t.same(unknown, [['history[1]'], ['history[1]'], ['history[1]', 'tags[1]']])
  const views = ['history', 'ages']
  t.same(cut, [views, views, [...views, 'tags']])
})

t.test('columns of arrays, of values and offsets, and rows are encoded alike', async () => {
  const encoder = createEncoder(features)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.integer(), (count, seed) => {
      let state = seed >>> 0
      const random = () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0
        return state / 2 ** 32
      }
      const context = drawRow(features, random, ({ side }) => side === 'context')
      const candidates = Array.from({ length: count }, () =>
        drawRow(features, random, ({ side }) => side === 'candidate'),
      )
      const column = (name: string) => candidates.map((row) => row[name]!)
      const flat = (name: string) => {
        const lists = column(name) as string[][]
        const offsets = [0]
        for (const list of lists) offsets.push(offsets.at(-1)! + list.length)
        return { values: lists.flat(), offsets }
      }
      const expected = encoder.rows(context, candidates, options)
      const arrays = { item: column('item'), tags: column('tags'), image: column('image') }
      const forms = [arrays, { ...arrays, tags: flat('tags'), image: flat('image') }]
      return forms.every((form) => {
        const { sparse, dense } = encoder.columns(context, form, options)
        return (
          Buffer.from(sparse.buffer).equals(Buffer.from(expected.sparse.buffer)) &&
          Buffer.from(dense.buffer).equals(Buffer.from(expected.dense.buffer))
        )
      })
    }),
  )
})

t.test('encoded columns are accepted as they are', async () => {
  const encoder = createEncoder(features)
  const { sparse, dense } = encoder.rows(context, candidates.slice(0, 1), options)
  const again = encoder.tensors([[...sparse]], [[...dense]], options)
  t.same([...again.sparse], [...sparse])
  t.same([...again.dense], [...dense])
})

t.test('a bad list is named with its place', async () => {
  const good = { item: 'a', tags: ['x'] }
  const one = (change: object) => problemsOf({}, [{ ...good, ...change }])
  t.same(one({ tags: 'x' }), ['/candidates/0/tags must be an array, not a string'])
  t.same(one({ item: ['a'] }), ['/candidates/0/item must be a string, not an array'])
  t.same(one({ tags: ['x', null] }), ['/candidates/0/tags/1 must be a string, not null'])
  t.same(one({ tags: [['x']] }), ['/candidates/0/tags/0 must be a string, not an array'])
  t.same(one({ tags: null }), ['/candidates/0/tags is required: the field has no default, and null counts as missing'])
  t.same(problemsOf({}, [{ item: 'a' }]), ['/candidates/0/tags is required: the field has no default'])
  t.same(one({ tags: { values: ['x'], weights: [1, 2] } }), ['/candidates/0/tags/weights has 2 weights for 1 values'])
  for (const weight of [Number.NaN, -1, Number.POSITIVE_INFINITY])
    t.same(one({ tags: { values: ['x'], weights: [weight] } }), [
      '/candidates/0/tags/weights/0 must be a finite number of at least 0',
    ])
  t.same(one({ tags: { values: ['x'], weights: ['1'] } }), [
    '/candidates/0/tags/weights/0 must be a number, not a string',
  ])
  t.same(one({ tags: { values: [3], weights: [1] } }), ['/candidates/0/tags/values/0 must be a string, not a number'])
  t.same(one({ tags: { values: ['x'], weight: [1] } }), [
    '/candidates/0/tags/weight is not known: a weighted list has values and weights',
  ])
  t.same(one({ image: [1] }), ['/candidates/0/image has 1 numbers, not 2'])
  t.same(one({ image: [1, 'x'] }), ['/candidates/0/image/1 must be a number, not a string'])
  t.same(problemsOf({ history: ['a'], ages: [] }, [good]), [
    '/context/ages has 0 values where "history", of the same sequence, has 1',
  ])
  t.same(
    problemsOf({ history: ['a'] }, [{ ...good, ages: [1] }]),
    [
      '/context/ages is not given here, where "history", of the same sequence, has 1 values: give both in one place',
      '/candidates/0/ages is of the same sequence as "history", which the context gives: give both in one place',
    ],
    'a sequence stands in one place',
  )
  t.same(problemsOf({ ages: [1, 2] }, [good]), [
    '/context/history is not given here, where "ages", of the same sequence, has 2 values: give both in one place',
  ])
  t.same(problemsOf({}, [{ ...good, history: ['a'], ages: [1] }]), [], 'which may be the candidate')
})

t.test('a value with the id of padding counts as unknown', async () => {
  const own = (out_of_vocabulary: 'bucket' | 'drop' | 'error', padding: number) =>
    createEncoder([
      {
        name: 'items',
        side: 'context',
        kind: 'integer',
        size: 5,
        out_of_vocabulary,
        missing: 'error',
        list: { max: 3, padding },
      },
    ])
  const ids = (encoder: ReturnType<typeof own>, items: number[]) => [
    ...encoder.rows({ items }, undefined, options).sparse,
  ]
  t.same(ids(own('drop', 0), [3, 0, 4]), [3, 4, 0], 'ids are those of the client, which keeps 0 free')
  t.same(ids(own('bucket', 5), [4, 2]), [0, 3, 5])
  t.throws(() => ids(own('error', 0), [3, 0]), { message: '/context/items/1 has the id of padding, 0' })
})

t.test('all values of a request are bounded before they are encoded', async () => {
  const many = new Array(1e6).fill('x')
  t.same(
    problemsOf(
      {},
      [
        { item: 'a', tags: ['x'] },
        { item: 'a', tags: many },
      ],
      { maxValues: 100 },
    ),
    ['/candidates/1/tags has values beyond the 100 that the lists and vectors of a request may have in all'],
  )
  t.same(problemsOf({ history: many, ages: [] }, [{ item: 'a', tags: [] }], { maxValues: 100 }).length, 1)
})

t.test('rows that repeat long lists of the context are bounded, too', async () => {
  const rows = Array.from({ length: 100 }, () => ({ item: 'a', tags: [] }))
  const { rows: encode } = createEncoder(features)
  t.equal(encode({}, rows, { ...options, maxValues: 325 }).rows, 100)
  t.throws(() => encode({}, rows, { ...options, maxValues: 324 }), {
    code: 'TOO_MANY_ROWS',
    message: /100 rows of 13 columns/,
  })
})

t.test('a request that failed leaves nothing behind', async () => {
  const encoder = createEncoder(features)
  t.throws(() => encoder.rows({ history: ['a', 'b'], ages: 'x' }, candidates, options))
  t.throws(() => encoder.rows({}, [{ tags: ['x', 'y'], item: 5 }, 7], options))
  t.same([...encoder.rows({}, [{ item: 'a', tags: [] }], options).sparse], [0, 0, 0, 1, 4, 4])
})

t.test('bad rows are left out, with their lists', async () => {
  const rows = [
    { item: 'a', tags: ['x'] },
    { item: 'a', tags: 'x' },
    { item: 'c', tags: ['y'] },
  ]
  const { sparse, problems, index } = createEncoder(features).rows({}, rows, { ...options, partial: true })
  t.same([...sparse], [0, 0, 0, 1, 6, 4, 0, 0, 0, 3, 7, 4])
  t.same([...index!], [0, 2])
  t.same(problems, [{ path: '/candidates/1/tags', message: 'must be an array, not a string' }])
})

t.test('offsets that run back, overrun or lie are refused', async () => {
  const problem = (tags: unknown) => {
    try {
      createEncoder(features).columns({}, { item: ['a', 'b'], tags }, options)
    } catch (error) {
      return (error as ModelError).problems!.map(({ path, message }) => `${path} ${message}`).join('; ')
    }
    return undefined
  }
  const values = ['x', 'y', 'x']
  t.equal(problem({ values, offsets: [0, 1, 3] }), undefined)
  t.equal(
    problem({ values: ['x', 5, null], offsets: [0, 1, 3] }),
    '/candidates/tags/values/1 must be a string, not a number; /candidates/tags/values/2 must be a string, not null',
  )
  t.equal(problem([['x'], ['x', 5]]), '/candidates/tags/1/1 must be a string, not a number')
  t.equal(problem({ values, offsets: [0, 2, 1] }), '/candidates/tags/offsets/2 is 1, less than the offset before it, 2')
  t.equal(problem({ values, offsets: [0, 9, 9] }), '/candidates/tags/offsets/1 is 9, beyond the 3 values')
  t.equal(problem({ values, offsets: [0, 1, 2] }), '/candidates/tags/offsets/2 is 2, but there are 3 values')
  t.equal(problem({ values, offsets: [1, 1, 3] }), '/candidates/tags/offsets/0 must be 0, not 1')
  t.equal(problem({ values, offsets: [0, 0.5, 3] }), '/candidates/tags/offsets/1 must be an integer')
  t.equal(problem({ values, offsets: [0, 3] }), '/candidates/tags has 1 values where "item" has 2')
  t.equal(
    problem({ values, offsets: [0] }),
    '/candidates/tags/offsets must have at least two values: where the first list begins and ends',
  )
  t.equal(problem({ values }), '/candidates/tags/offsets must be an array, not absent')
  t.equal(problem({ values, offsets: [0, 1, 3], weights: [1] }), '/candidates/tags/weights has 1 weights for 3 values')
  t.equal(
    problem({ values, offsets: [0, 1, 3], rows: 2 }),
    '/candidates/tags/rows is not known: a column of lists has values, offsets and weights',
  )
})

t.test('contradictions of lists and tables in a manifest are named', async () => {
  const found = (change: (features: Features) => void) => {
    const changed = structuredClone(features)
    change(changed)
    return contradictions({ ...exampleManifest(), features: changed }).filter((text) => text.startsWith('/features'))
  }
  const set = (index: number, values: object) => found((features) => Object.assign(features[index]!, values))
  t.same(
    found(() => undefined),
    [],
  )
  t.same(set(0, { table: 'itme' }), ['/features/0/table "itme" is not a field; did you mean item?'])
  t.same(set(0, { table: 'ages' }), [
    '/features/0/table "ages" is a numeric field, which has no table of its own: name the field that owns it',
  ])
  t.same(set(0, { out_of_vocabulary: 'bucket' }), [
    '/features/0/out_of_vocabulary is bucket, whose id, 0, is that of padding: choose drop or error, or another list/padding',
  ])
  t.same(
    set(0, { list: { max: 3, padding: 9 } }).length,
    2,
    'padding is an id of the table, and sequences are cut alike',
  )
  t.same(set(1, { list: { max: 4, keep: 'last' } }), [
    '/features/1/list/max is 4, but "history", of the same sequence, has 3',
  ])
  t.same(set(1, { side: 'candidate' }), [
    '/features/1/side is candidate, but "history", of the same sequence, has context',
  ])
  t.match(set(2, { out_of_vocabulary: 'drop' }).join(), /drop, which belongs to lists/)
  t.same(set(2, { missing: { default: ['a'] } }), ['/features/2/missing/default must not be an array'])
  t.same(set(3, { missing: { default: 'x' } }), ['/features/3/missing/default must be an array: the field is a list'])
  t.same(set(3, { missing: { default: ['x', 7] } }), ['/features/3/missing/default/1 must be a string, not a number'])
  t.same(set(4, { missing: { default: [1] } }), ['/features/4/missing/default has 1 numbers, not 2'])
  t.same(set(1, { list: undefined }), [
    '/features/1/missing/default must not be an array',
    '/features/1/sequence belongs to lists: add list, or leave it out',
  ])
  t.match(
    found((features) => {
      features[2] = { name: 'item', side: 'candidate', kind: 'hash', buckets: 5, missing: 'error' }
    }).join(),
    /out_of_vocabulary has no meaning/,
  )
})

t.test('numbers that are drawn may be scaled by any logarithm', async () => {
  const [, ages] = features
  const widely: Features = [{ ...ages!, scaling: { method: 'log1p', scale: 30 } } as Features[number]]
  const random = createUniform(3)
  for (let i = 0; i < 100; i++) for (const age of drawRow(widely, random).ages as number[]) t.ok(Math.fround(age) > -1)
})
