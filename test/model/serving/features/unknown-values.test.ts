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

t.test('numbers beyond the range of training are clipped and unknown, those at its ends are not', async (t) => {
  const heard: string[] = []
  const age = (range: [number, number], missing = 0): Features[number] => ({
    name: 'age',
    side: 'context',
    kind: 'numeric',
    scaling: { method: 'standard', mean: 0, deviation: 2, range },
    missing: { default: missing },
  })
  for (const range of [
    [-3, 90],
    [0, 0],
    [-1, 0],
  ] as [number, number][]) {
    const [least, largest] = range
    const encoder = createEncoder([age(range)], { onUnknown: (field) => heard.push(field) })
    heard.length = 0
    const values = [least, largest, least - 1e-3, largest + 1e-3, -1e308, 1e308, (least + largest) / 2]
    const encoded = encoder.rows(
      undefined,
      values.map((value) => ({ age: value })),
      { maxRows: 10, partial: false },
    )
    t.same(
      unknownFields(encoder.layout, encoded, () => true),
      [[], [], ['age'], ['age'], ['age'], ['age'], []],
      `${range}`,
    )
    t.equal(heard.length, 4)
    t.ok(
      encoded.dense.every((value) => value >= least / 2 - 1e-5 && value <= largest / 2 + 1e-5),
      `${encoded.dense}`,
    )
    t.equal(encoded.dense[2], encoded.dense[4])
    t.not(encoded.dense[0], encoded.dense[2])
  }
  const encoder = createEncoder([age([0, 1], 7)], { onUnknown: (field) => heard.push(field) })
  heard.length = 0
  const encoded = encoder.rows(undefined, [{}, { age: 8 }], { maxRows: 10, partial: false })
  t.same(
    unknownFields(encoder.layout, encoded, (row) => row === 1),
    [[], ['age']],
  )
  t.same(heard, ['age'], 'a default is no value that a client sent')
})
