import t from 'tap'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import { NumberMatrix } from '../../../../src/model/serving/features/number-matrix.ts'
import { encodeInputs } from '../../../../src/model/serving/prediction/encode-inputs.ts'
import type { InputTensor } from '../../../../src/model/serving/prediction/tensors.ts'
import type { Features } from '../../../../src/schemas/features.ts'
import { problemsOf } from '../../../support/problems-of.ts'

/* Lists that clients encode themselves. */

const width = 40
const features: Features = [
  { name: 'item', side: 'candidate', kind: 'integer', size: 9, out_of_vocabulary: 'error', missing: 'error' },
  {
    name: 'views',
    side: 'context',
    kind: 'shared',
    table: 'item',
    out_of_vocabulary: 'drop',
    missing: 'error',
    list: { max: width, weighted: true },
  },
]
const encoder = createEncoder(features)
const { tensors } = encoder
const options = { maxRows: 1000, partial: false }
const inputs: InputTensor[] = [
  { name: 'item', dtype: 'int64', dims: [], width: 1, role: 'sparse', column: 0 },
  { name: 'views', dtype: 'int64', dims: [width], width, role: 'sparse', column: 1, context: true },
  { name: 'weights', dtype: 'float32', dims: [width], width, role: 'dense', column: 0, context: true },
]
const ids = Array.from({ length: width }, (_, i) => i % 9)
const weights = Array.from({ length: width }, (_, i) => i / 8)

t.test('one row of the context holds for all rows', async () => {
  const { rows, sparse, dense } = encodeInputs(
    encoder,
    inputs,
    { item: [3, 4], views: [ids], weights: [weights] },
    options,
  )
  t.equal(rows, 2)
  t.same([...sparse], [3, ...ids, 4, ...ids])
  t.same([...dense], [...weights, ...weights])
})

t.test('too many rows are refused before the context is repeated for each', async () => {
  // Nothing reads their values.
  const item = new NumberMatrix(1e9, 1, new Int32Array(0))
  t.throws(() => encodeInputs(encoder, inputs, { item, views: [ids], weights: [weights] }, options), {
    code: 'TOO_MANY_ROWS',
    message: /1000000000 rows; at most 1000/,
  })
  const few = { item: new Array(100).fill(1), views: [ids], weights: [weights] }
  t.throws(() => encodeInputs(encoder, inputs, few, { ...options, maxValues: 2024 }), {
    code: 'TOO_MANY_ROWS',
    message: /100 rows of 81 columns.*4 times the 2024 values/,
  })
  t.equal(encodeInputs(encoder, inputs, few, { ...options, maxValues: 2025 }).rows, 100)
})

t.test('a weight below 0 is refused with its place, as in named features', async () => {
  const wrong = weights.with(5, -1)
  const message = 'is a weight of views: must be at least 0'
  const given = { item: [3], views: [ids], weights: [wrong] }
  t.same(
    problemsOf(() => encodeInputs(encoder, inputs, given, options)),
    [`/inputs/weights/0/5 ${message}`],
  )
  const sparse = [[3, ...ids]]
  t.same(
    problemsOf(() => tensors(sparse, [wrong], options)),
    [`/dense/0/5 ${message}`],
  )
  const matrix = new NumberMatrix(1, width, Float32Array.from(wrong))
  t.same(
    problemsOf(() => tensors(sparse, matrix, options)),
    [`/dense/0/5 ${message}`],
  )
  t.equal(tensors(sparse, [weights.with(5, -0)], options).rows, 1)
})

t.test('a wrong value that holds for all rows is one problem, and refuses them all', async (t) => {
  const wrong = ids.with(5, 99)
  const given = { item: [3, 4, 99], views: [wrong], weights: [weights.with(2, Number.NaN)] }
  for (const partial of [false, true])
    t.same(
      problemsOf(() => encodeInputs(encoder, inputs, given, { ...options, partial })),
      [
        '/inputs/views/0/5 is not an id of views: must be from 0 to 8',
        '/inputs/weights/0/2 must be finite',
        '/inputs/item/2 is not an id of item: must be from 0 to 8',
      ],
    )
})

t.test('a row that is left out leaves the context of the others as it is', async (t) => {
  const given = { item: [3, 99, 4], views: [ids], weights: [weights] }
  const { sparse, dense, index, problems } = encodeInputs(encoder, inputs, given, { ...options, partial: true })
  t.same([...index!], [0, 2])
  t.same([...sparse], [3, ...ids, 4, ...ids])
  t.same([...dense], [...weights, ...weights])
  t.same(
    problems.map(({ path }) => path),
    ['/inputs/item/1'],
  )
})

t.test('a mask is compared with ids that hold for all rows, and those of each row with it', async (t) => {
  const masked: InputTensor[] = [
    ...inputs,
    {
      name: 'mask',
      dtype: 'float32',
      dims: [width],
      width,
      role: 'sparse',
      column: 1,
      derived: { is: 'mask', padding: 0, first: 1, width },
      context: true,
    },
  ]
  const mask = ids.map((id) => Number(id !== 0))
  const given = { item: [3, 4], views: [ids], weights: [weights] }
  t.equal(encodeInputs(encoder, masked, { ...given, mask: [mask] }, options).rows, 2)
  const wrong = mask.with(0, 1)
  const message = 'is 1, but the ids have padding (0) there'
  for (const [views, sent, places] of [
    [[ids], [wrong], ['/inputs/mask/0/0']],
    [[ids], [mask, wrong], ['/inputs/mask/1/0']],
    [[ids, ids], [wrong], ['/inputs/mask/0/0']],
    [[ids.with(0, 1), ids], [wrong, wrong], ['/inputs/mask/1/0']],
  ] as const)
    t.same(
      problemsOf(() => encodeInputs(encoder, masked, { ...given, views, mask: sent }, options)),
      places.map((place) => `${place} ${message}`),
    )
})
