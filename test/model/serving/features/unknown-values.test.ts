import t from 'tap'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import { unknownFields } from '../../../../src/model/serving/prediction/query-rows.ts'
import type { Features } from '../../../../src/schemas/features.ts'

const integer = { side: 'candidate', kind: 'integer', size: 7, out_of_vocabulary: 'bucket' } as const
// The default of `weekday` is outside its range.
const features: Features = [
  { name: 'hour', ...integer, missing: { default: 1 } },
  { name: 'weekday', ...integer, missing: { default: 7 } },
  { name: 'user', side: 'context', kind: 'hash', buckets: 1, seed: 0, missing: { default: '' } },
]
const { rows, layout } = createEncoder(features)
const encode = (candidates: object[], partial = false) => rows(undefined, candidates, { maxRows: 10, partial })

t.test('unknown values are those in the bucket', async (t) => {
  const encoded = encode([{ hour: 7, weekday: 1 }, { hour: 0, weekday: 99, user: 'x' }, {}])
  t.same(
    unknownFields(layout, encoded, (row) => row < 2),
    [['hour'], ['weekday'], []],
  )
})

t.test('a default in the bucket is no value that a client sent', async (t) => {
  const asked: unknown[] = []
  const encoded = encode([{ weekday: 9 }, {}])
  unknownFields(layout, encoded, (row, name) => asked.push([row, name]) > 1)
  t.same(asked, [
    [0, 'weekday'],
    [1, 'weekday'],
  ])
})

t.test('rows that were left out have none', async (t) => {
  const encoded = encode([{ hour: 'x' }, { hour: 8 }], true)
  t.same(
    unknownFields(layout, encoded, () => false),
    [undefined, ['hour']],
  )
})
