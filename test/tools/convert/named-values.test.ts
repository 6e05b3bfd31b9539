import t from 'tap'
import { ModelError } from '../../../src/base/errors.ts'
import { drawValue } from '../../../src/model/serving/features/draw.ts'
import { createNumericFieldEncoder, createSparseFieldEncoder } from '../../../src/model/serving/features/field.ts'
import { idsOf } from '../../../src/model/serving/features/table.ts'
import type { Field } from '../../../src/schemas/features.ts'
import { nameValue } from '../../../src/tools/convert/golden.ts'
import { fc } from '../../support/cases.ts'

const common = { name: 'f', side: 'candidate' as const, missing: 'error' as const }
const policy = fc.constantFrom('bucket' as const, 'error' as const)
const sparse: fc.Arbitrary<Field> = fc.oneof(
  fc
    .record({
      values: fc.uniqueArray(fc.oneof(fc.string(), fc.constant('unknown')), { minLength: 1, maxLength: 9 }),
      policy,
    })
    .map(({ values, policy }): Field => ({ ...common, kind: 'vocabulary', values, out_of_vocabulary: policy })),
  fc
    .record({ size: fc.integer({ min: 1, max: 99 }), policy })
    .map(({ size, policy }): Field => ({ ...common, kind: 'integer', size, out_of_vocabulary: policy })),
  fc
    .record({
      hash: fc.constantFrom('murmur3' as const, 'farmhash64' as const, 'xxhash64' as const),
      buckets: fc.integer({ min: 1, max: 200 }),
      seed: fc.nat(),
    })
    .map((hash): Field => ({ ...common, kind: 'hash', ...hash })),
)
const scaling = fc.oneof(
  fc.constant({ method: 'none' as const }),
  fc.record({
    method: fc.constant('standard' as const),
    mean: fc.double({ min: -100, max: 100, noNaN: true }),
    deviation: fc.double({ min: 0.1, max: 100, noNaN: true }),
  }),
  fc.constant({ method: 'min_max' as const, min: -3, max: 12 }),
  fc.constant({ method: 'log1p' as const, scale: 2 }),
)
const wrong = (message: string) => new ModelError('INVALID_REQUEST', message)

t.test('encoding gives back what a value was named for', async () => {
  fc.assert(
    fc.property(sparse, fc.nat(), fc.nat({ max: 1000 }), (field, n, offset) => {
      if (field.kind !== 'vocabulary' && field.kind !== 'integer' && field.kind !== 'hash') return false
      const id = n % idsOf(field)
      return createSparseFieldEncoder(field, offset).encode(nameValue(field, id, wrong)) === id + offset
    }),
  )
  fc.assert(
    fc.property(scaling, fc.float({ min: Math.fround(-4), max: Math.fround(4), noNaN: true }), (scaling, x) => {
      const field = { ...common, kind: 'numeric' as const, scaling }
      const again = createNumericFieldEncoder(field).encode(nameValue(field, x, wrong)) as number
      return Math.abs(again - x) <= 1e-5 * Math.max(1, Math.abs(x))
    }),
  )
})

t.test('drawn values are ones that a request may give', async () => {
  fc.assert(
    fc.property(sparse, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (field, u) => {
      if (field.kind !== 'vocabulary' && field.kind !== 'integer' && field.kind !== 'hash') return false
      return typeof createSparseFieldEncoder(field, 0).encode(drawValue(field, () => u)) === 'number'
    }),
  )
  fc.assert(
    fc.property(scaling, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (scaling, u) => {
      const field = { ...common, kind: 'numeric' as const, scaling }
      return typeof createNumericFieldEncoder(field).encode(drawValue(field, () => u)) === 'number'
    }),
  )
})

t.test('what no value stands for is said', async (t) => {
  const integer: Field = { ...common, kind: 'integer', size: 3, out_of_vocabulary: 'error' }
  t.throws(() => nameValue(integer, 3, wrong), { message: /3, but the ids of f are 0 … 2/ })
  t.throws(() => nameValue(integer, 0.5, wrong), { message: /0\.5, but the ids of f are/ })
  const hash: Field = { ...common, kind: 'hash', buckets: 1_000_000, seed: 0 }
  t.throws(() => nameValue(hash, 5, wrong), { message: /give named rows/ })
  const logged: Field = { ...common, kind: 'numeric', scaling: { method: 'log1p', scale: 1 } }
  t.throws(() => nameValue(logged, 1e6, wrong), { message: /which is not the scaled form of any value of f/ })
})
