import t from 'tap'
import { KeyList } from '../../../src/model/contracts/key-list.ts'
import type { QueryRows } from '../../../src/model/serving/prediction/query-rows.ts'
import type { Entities } from '../../../src/schemas/entities.ts'
import { keepBy, sentFields } from '../../../src/server/prediction-log/fields.ts'
import { testFeatures } from '../../support/bundle.ts'

const features = testFeatures.map((field) =>
  field.name === 'country'
    ? { ...field, log: 'hash' as const }
    : field.name === 'hour'
      ? { ...field, log: 'drop' as const }
      : field,
)
const entity = { features: ['campaign'], table: 'ads', unknown: 'defaults' as const }
const entities: Entities = {
  ad: { key: 'ad_id', side: 'candidate', ...entity },
  user: { key: 'user_id', side: 'context', log: 'hash', ...entity },
}
const read = (rows: QueryRows, secret?: string) => sentFields(rows, keepBy({ features, entities }, secret), 'ad_id')
const context = { country: 'DE', hour: 3, user_id: 'u1', secret: 'x' }

t.test(
  'marked fields and keys are hashes by the secret, or missing; what no manifest names is not there',
  async (t) => {
    const rows: QueryRows = { form: 'rows', context, candidates: [{ campaign: 'c1', password: 'x', id: 'a', bid: 2 }] }
    const [first, again, other] = ['s', 's', 'other'].map((secret) => read(rows, secret)!)
    t.same(first, again)
    t.strictSame(Object.keys(first!.context!.values), ['country', 'user_id'])
    t.match(first!.context!.values.country, /^[A-Za-z0-9_-]{43}$/)
    t.not(first!.context!.values.country, other!.context!.values.country)
    t.same(first!.candidates, [{ id: 'a', bid: 2, fields: { campaign: 'c1' } }])
    t.same(read(rows)!.context!.values, {}, 'without a secret')
    const lists = read({ form: 'rows', context: { country: ['DE', null] }, candidates: [] }, 's')
    const hashes = lists!.context!.values.country as string[]
    t.equal(hashes[0], first!.context!.values.country, 'each value of a list has its hash')
    t.not(hashes[1], hashes[0])
    t.equal(read({ form: 'rows', context: { country: null }, candidates: [] }, 's')!.context!.values.country, null)
  },
)

t.test('candidates as keys, as columns with lists, and without any', async (t) => {
  const keys = Buffer.from('"x","yy"')
  const listed = new KeyList(keys, Int32Array.of(1, 5), Int32Array.of(2, 7))
  const ids = [
    { id: 'x', fields: { ad_id: 'x' } },
    { id: 'yy', fields: { ad_id: 'yy' } },
  ]
  t.same(read({ form: 'rows', context, candidates: listed })!.candidates, ids)
  t.same(read({ form: 'rows', context, candidates: ['x', 'yy'] })!.candidates, ids)
  const columns = {
    ...{ ad_id: ['x', 'y'], price: Float32Array.of(0.5, 1), bid: [1, 2] },
    campaign: { values: ['a', 'b', 'c'], offsets: [0, 1, 3] },
    views: { values: ['a', 'b', 'c'], offsets: [0, 1, 3], weights: [1, 2, 3] },
  }
  t.same(read({ form: 'columns', context, candidates: columns })!.candidates, [
    { id: 'x', bid: 1, fields: { ad_id: 'x', price: 0.5, campaign: ['a'], views: { values: ['a'], weights: [1] } } },
    {
      id: 'y',
      bid: 2,
      fields: { ad_id: 'y', price: 1, campaign: ['b', 'c'], views: { values: ['b', 'c'], weights: [2, 3] } },
    },
  ])
  t.same(read({ form: 'rows', context, candidates: undefined })!.candidates, [{}])
  t.equal(read({ form: 'tensors', sparse: [], dense: [] }), undefined)
})
