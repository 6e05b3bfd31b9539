import t from 'tap'
import { murmur3 } from '../../../../src/base/hash.ts'
import { xxhash64 } from '../../../../src/base/hash64.ts'
import {
  createNumericFieldEncoder,
  createSparseFieldEncoder,
  describeValue,
  requiredMessage,
} from '../../../../src/model/serving/features/field.ts'
import { idsOf } from '../../../../src/model/serving/features/table.ts'
import type {
  HashField,
  IntegerField,
  NumericField,
  Scaling,
  VocabularyField,
} from '../../../../src/schemas/features.ts'
import { fc } from '../../../support/cases.ts'

const vocabulary = (changes: Partial<VocabularyField> = {}): VocabularyField => ({
  name: 'v',
  side: 'context',
  kind: 'vocabulary',
  values: ['red', 'green'],
  out_of_vocabulary: 'bucket',
  missing: 'error',
  ...changes,
})
const integer = (changes: Partial<IntegerField> = {}): IntegerField => ({
  name: 'i',
  side: 'context',
  kind: 'integer',
  size: 5,
  out_of_vocabulary: 'bucket',
  missing: 'error',
  ...changes,
})
const hash = (changes: Partial<HashField> = {}): HashField => ({
  name: 'h',
  side: 'context',
  kind: 'hash',
  buckets: 10,
  seed: 3,
  missing: 'error',
  ...changes,
})
const numeric = (scaling: Scaling = { method: 'none' }, missing: NumericField['missing'] = 'error'): NumericField => ({
  name: 'n',
  side: 'context',
  kind: 'numeric',
  scaling,
  missing,
})

t.test('a vocabulary takes one id more for its bucket', async (t) => {
  t.equal(idsOf(vocabulary()), 3)
  t.equal(idsOf(vocabulary({ out_of_vocabulary: 'error' })), 2)
})

t.test('an integer field takes one id more for its bucket', async (t) => {
  t.equal(idsOf(integer()), 6)
  t.equal(idsOf(integer({ out_of_vocabulary: 'error' })), 5)
})

t.test('a hash takes as many ids as it has buckets', async (t) => {
  t.equal(idsOf(hash()), 10)
})

t.test('known values follow the bucket in order', async (t) => {
  const { encode } = createSparseFieldEncoder(vocabulary(), 100)
  t.equal(encode('red'), 101)
  t.equal(encode('green'), 102)
})

t.test('known values begin at the offset where there is no bucket', async (t) => {
  const { encode } = createSparseFieldEncoder(vocabulary({ out_of_vocabulary: 'error' }), 100)
  t.equal(encode('red'), 100)
})

t.test('an unknown value takes the bucket, and is reported', async (t) => {
  const heard: string[] = []
  const { encode } = createSparseFieldEncoder(vocabulary(), 100, (field) => heard.push(field))
  t.equal(encode('blue'), 100)
  t.same(heard, ['v'])
})

t.test('an unknown value takes the bucket where nobody listens', async (t) => {
  t.equal(createSparseFieldEncoder(vocabulary(), 100).encode('blue'), 100)
})

t.test('an unknown value is refused, and quoted, where there is no bucket', async (t) => {
  const { encode } = createSparseFieldEncoder(vocabulary({ out_of_vocabulary: 'error' }), 0)
  t.equal(encode('"blue"'), 'is not in the field\'s vocabulary: "\\"blue\\""')
})

t.test('a long unknown value is quoted in part', async (t) => {
  const { encode } = createSparseFieldEncoder(vocabulary({ out_of_vocabulary: 'error' }), 0)
  t.equal(encode('x'.repeat(5000)), `is not in the field's vocabulary: "${'x'.repeat(64)}"`)
})

t.test('names of object properties are values like others', async (t) => {
  const names = ['__proto__', 'constructor', 'toString']
  const { encode } = createSparseFieldEncoder(vocabulary({ values: names, out_of_vocabulary: 'error' }), 0)
  t.same(names.map(encode), [0, 1, 2])
  const other = createSparseFieldEncoder(vocabulary(), 0)
  t.same(names.map(other.encode), [0, 0, 0])
})

for (const [what, value] of Object.entries({
  'a number': 1,
  'a boolean': true,
  'an array': ['red'],
  'an object': {},
})) {
  t.test(`${what} is no value of a vocabulary`, async (t) => {
    t.equal(createSparseFieldEncoder(vocabulary(), 0).encode(value), `must be a string, not ${what}`)
  })

  t.test(`${what} is no value of a hash`, async (t) => {
    t.equal(createSparseFieldEncoder(hash(), 0).encode(value), `must be a string, not ${what}`)
  })
}

t.test('a hash is the Murmur hash with its seed, modulo the buckets, from the offset on', async (t) => {
  const { encode } = createSparseFieldEncoder(hash(), 40)
  t.equal(encode('größe'), 40 + (murmur3('größe', 3) % 10))
})

t.test('the 64-bit hashes of other pipelines, modulo the buckets, from the offset on', async (t) => {
  const { seed: _, ...unseeded } = hash({ hash: 'farmhash64', buckets: 1000 })
  t.equal(createSparseFieldEncoder(unseeded, 40).encode('test'), 40 + 506)
  const xxhash = createSparseFieldEncoder(hash({ hash: 'xxhash64', buckets: 1000 }), 40)
  t.equal(xxhash.encode('größe'), 40 + xxhash64(1000, 3)('größe'))
  t.equal(createSparseFieldEncoder(hash({ hash: 'murmur3' }), 0).encode('x'), murmur3('x', 3) % 10)
  for (const field of [unseeded, hash({ hash: 'xxhash64', seed: 0, missing: { default: 'a' } })]) {
    const { encode } = createSparseFieldEncoder(field, 0)
    t.equal(encode(1), 'must be a string, not a number')
    t.equal(encode(undefined), field.missing === 'error' ? requiredMessage : encode('a'))
  }
})

t.test('known integers follow the bucket', async (t) => {
  const { encode } = createSparseFieldEncoder(integer(), 10)
  t.same([0, 4, -0].map(encode), [11, 15, 11])
})

t.test('integers out of range take the bucket, and are reported', async (t) => {
  const heard: string[] = []
  const { encode } = createSparseFieldEncoder(integer(), 10, (field) => heard.push(field))
  t.same([-1, 5, 2 ** 40].map(encode), [10, 10, 10])
  t.same(heard, ['i', 'i', 'i'])
})

t.test('integers out of range are refused where there is no bucket', async (t) => {
  const { encode } = createSparseFieldEncoder(integer({ out_of_vocabulary: 'error' }), 10)
  t.same([-1, 5].map(encode), ['must be from 0 to 4', 'must be from 0 to 4'])
})

for (const value of [1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1e39]) {
  t.test(`${value} is no integer that is taken, whatever the bucket`, async (t) => {
    t.equal(createSparseFieldEncoder(integer(), 0).encode(value), 'must be an integer')
  })
}

for (const [what, value] of Object.entries({ 'a string': '3', 'a boolean': false, 'an array': [3], 'an object': {} })) {
  t.test(`${what} is no integer`, async (t) => {
    t.equal(createSparseFieldEncoder(integer(), 0).encode(value), `must be an integer, not ${what}`)
  })

  t.test(`${what} is no number`, async (t) => {
    t.equal(createNumericFieldEncoder(numeric()).encode(value), `must be a number, not ${what}`)
  })
}

t.test('an absent or null value is refused where the field has no default', async (t) => {
  for (const { encode } of [
    createSparseFieldEncoder(vocabulary(), 0),
    createSparseFieldEncoder(integer(), 0),
    createSparseFieldEncoder(hash(), 0),
    createNumericFieldEncoder(numeric()),
  ]) {
    t.equal(encode(undefined), requiredMessage)
    t.equal(encode(null), `${requiredMessage}, and null counts as missing`)
  }
})

t.test('an absent or null value counts as the default', async (t) => {
  const cases = [
    { encoder: createSparseFieldEncoder(vocabulary({ missing: { default: 'green' } }), 0), value: 'green' },
    { encoder: createSparseFieldEncoder(integer({ missing: { default: 2 } }), 0), value: 2 },
    { encoder: createSparseFieldEncoder(hash({ missing: { default: 'x' } }), 0), value: 'x' },
    {
      encoder: createNumericFieldEncoder(numeric({ method: 'standard', mean: 1, deviation: 2 }, { default: 7 })),
      value: 7,
    },
  ]
  for (const { encoder, value } of cases) {
    t.type(encoder.missing, 'number')
    t.equal(encoder.encode(undefined), encoder.encode(value))
    t.equal(encoder.encode(null), encoder.encode(value))
  }
})

t.test('a default outside the vocabulary takes the bucket, and nobody hears of it', async (t) => {
  const heard: string[] = []
  const field = vocabulary({ missing: { default: 'unknown' } })
  const { encode } = createSparseFieldEncoder(field, 20, (name) => heard.push(name))
  t.equal(encode(null), 20)
  t.same(heard, [])
})

const scalings: [Scaling, number, number][] = [
  [{ method: 'none' }, 3, 3],
  [{ method: 'standard', mean: 1, deviation: 4 }, 3, 0.5],
  [{ method: 'min_max', min: 1, max: 5 }, 3, 0.5],
  [{ method: 'min_max', min: 1, max: 5 }, 9, 2],
  [{ method: 'log1p', scale: 2 }, Math.E - 1, 0.5],
]
for (const [scaling, value, expected] of scalings) {
  t.test(`scaled by ${scaling.method}, ${value} is ${expected}`, async (t) => {
    t.equal(createNumericFieldEncoder(numeric(scaling)).encode(value), expected)
  })
}

t.test('a logarithm of nothing or less is refused', async (t) => {
  const { encode } = createNumericFieldEncoder(numeric({ method: 'log1p', scale: 1 }))
  t.same([-1, -2].map(encode), ['must be greater than −1', 'must be greater than −1'])
})

t.test('NaN and infinities are refused', async (t) => {
  const { encode } = createNumericFieldEncoder(numeric())
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  t.same(values.map(encode), ['must be finite', 'must be finite', 'must be finite'])
})

t.test('a number that float32 does not hold is refused', async (t) => {
  const { encode } = createNumericFieldEncoder(numeric())
  t.same([1e39, -1e39].map(encode), ['is too large for float32', 'is too large for float32'])
})

t.test('a number counts after scaling: a large one that scales into float32 is taken', async (t) => {
  const { encode } = createNumericFieldEncoder(numeric({ method: 'standard', mean: 0, deviation: 1e10 }))
  t.equal(encode(1e39), Math.fround(1e29))
})

t.test('a number beyond float32 that log1p scales into it is accepted', async (t) => {
  const { encode } = createNumericFieldEncoder(numeric({ method: 'log1p', scale: 1 }))
  t.equal(encode(1e39), Math.fround(Math.log1p(1e39)))
})

t.test('every finite number is rounded to float32 once, or refused', async () => {
  const { encode } = createNumericFieldEncoder(numeric({ method: 'standard', mean: 0.1, deviation: 0.3 }))
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const expected = Math.fround((value - 0.1) / 0.3)
      const code = encode(value)
      return Number.isFinite(expected) ? Object.is(code, expected) : code === 'is too large for float32'
    }),
  )
})

t.test('every string falls into its field', async () => {
  const encoders = [createSparseFieldEncoder(vocabulary(), 7), createSparseFieldEncoder(hash(), 7)]
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) =>
      encoders.every(({ encode, offset, ids }) => {
        const id = encode(value)
        return typeof id === 'number' && Number.isInteger(id) && id >= offset && id < offset + ids
      }),
    ),
  )
})

t.test('JSON values are described in words', async (t) => {
  t.same([null, [], {}, undefined, 'x', 1, true].map(describeValue), [
    'null',
    'an array',
    'an object',
    'absent',
    'a string',
    'a number',
    'a boolean',
  ])
})
