import t from 'tap'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import { encodeExplained } from '../../../../src/model/serving/prediction/query-rows.ts'
import type { Features } from '../../../../src/schemas/features.ts'

/* Values of lists that the model doesn't know, and lists that are cut. */

const list = { side: 'candidate', list: { max: 2, keep: 'last' } } as const
const features: Features = [
  { ...list, name: 'tags', kind: 'vocabulary', values: ['x'], out_of_vocabulary: 'bucket', missing: { default: [] } },
  { name: 'item', side: 'candidate', kind: 'integer', size: 9, out_of_vocabulary: 'error', missing: 'error' },
]
const options = { maxRows: 10_000, partial: false }

function explained(fields: Features, context: unknown, candidates: unknown) {
  const counts = { unknown: 0, cut: 0 }
  const encoder = createEncoder(fields, {
    onUnknown: () => counts.unknown++,
    onCut: (_, values) => (counts.cut += values),
  })
  return { ...encodeExplained({ form: 'rows', context, candidates }, encoder, [], options), counts }
}

t.test('a default is neither unknown nor cut', async () => {
  const tags = { ...features[0]!, missing: { default: ['q', 'x', 'x'] } } as Features[number]
  const lists = [{}, { tags: null }, { tags: [] }, { tags: ['x', 'q', 'x'] }]
  const rows = lists.map((row) => ({ ...row, item: 1 }))
  const { sparse, unknown, cut, counts } = explained([tags, features[1]!], undefined, rows)
  t.same(unknown, [[], [], [], ['tags[1]']])
  t.same(cut, [[], [], [], ['tags']])
  t.same(counts, { unknown: 1, cut: 1 }, 'only values of the request count')
  t.same([...sparse], [2, 2, 4, 2, 2, 4, 0, 0, 4, 1, 2, 4], 'the last values of the default are kept')
})

t.test('numbers beyond the range of training are unknown in a list, too', async () => {
  const ages: Features[number] = {
    ...list,
    name: 'ages',
    kind: 'numeric',
    scaling: { method: 'standard', mean: 10, deviation: 5, range: [0, 20] },
    missing: 'error',
  }
  const { unknown, counts } = explained([ages, features[1]!], undefined, [{ ages: [0, 21, 20, -1], item: 1 }])
  t.same(unknown, [['ages[1]', 'ages[3]']])
  t.equal(counts.unknown, 2)
})

t.test('each row names a bounded number of unknown values', async () => {
  const many = new Array(500).fill('q')
  const namedBy = (rows: number) => {
    const candidates = Array.from({ length: rows }, () => ({ item: 1 }))
    const { unknown, counts } = explained(features, { tags: many }, candidates)
    t.equal(counts.unknown, 500, 'metrics count all of them')
    return unknown!.map((names) => names!.length)
  }
  t.same(namedBy(3), [100, 100, 100])
  t.same(new Set(namedBy(5000)), new Set([20]))
  const own = explained(features, undefined, [{ tags: many, item: 1 }]).unknown!
  t.equal(own[0]!.at(-1), 'tags[99]')
})
