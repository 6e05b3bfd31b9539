import t from 'tap'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { EncodeOptions } from '../../../../src/model/serving/features/layout.ts'
import { NumberMatrix } from '../../../../src/model/serving/features/number-matrix.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'
import { problemsOf } from '../../../support/problems-of.ts'

// Ids: country 0–2, hour 3–26, campaign 27–29, creative 30–79.
const { features } = exampleManifest()
const encoder = createEncoder(features)
const options: EncodeOptions = { maxRows: 1000, partial: false }
const partial: EncodeOptions = { ...options, partial: true }
const ids = [0, 3, 27, 30]
const numbers = [0.5, -1]

const tensors = (sparse: unknown, dense: unknown, asked = options) => encoder.tensors(sparse, dense, asked)
const problems = (sparse: unknown, dense: unknown, asked = options) => problemsOf(() => tensors(sparse, dense, asked))

t.test('tensors are taken as they are, numbers rounded to float32', async (t) => {
  const encoded = tensors(
    [ids, [2, 26, 29, 79]],
    [
      [0.1, 1],
      [-0, 3e38],
    ],
  )
  t.equal(encoded.rows, 2)
  t.equal(encoded.requested, 2)
  t.same([...encoded.sparse], [...ids, 2, 26, 29, 79])
  t.same([...encoded.dense], [0.1, 1, -0, 3e38].map(Math.fround))
})

for (const [what, value] of Object.entries({ null: null, 'an object': {}, 'a string': 'x', 'an empty array': [] })) {
  t.test(`a tensor that is ${what} is refused`, async (t) => {
    t.same(problems(value, value), [
      '/sparse must be an array of rows of 4 numbers, at least one',
      '/dense must be an array of rows of 2 numbers, at least one',
    ])
  })
}

t.test('a missing tensor is refused', async (t) => {
  t.same(problems(undefined, [numbers]), ['/sparse is required: [rows, 4]'])
  t.same(problems([ids], undefined), ['/dense is required: [rows, 2]'])
})

t.test('tensors of different lengths are refused', async (t) => {
  t.same(problems([ids, ids], [numbers]), ['/dense has 1 rows where sparse has 2'])
})

t.test('a row that is no array is refused', async (t) => {
  t.same(problems([ids, 7], [null, numbers]), [
    '/sparse/1 must be an array, not a number',
    '/dense/0 must be an array, not null',
  ])
})

t.test('a row of another width is refused', async (t) => {
  t.same(problems([[0, 3, 27], ids], [numbers, [1, 2, 3]]), [
    '/sparse/0 has 3 values, not 4',
    '/dense/1 has 3 values, not 2',
  ])
})

for (const [value, message] of [
  ['3', 'must be an integer, not a string'],
  [null, 'must be an integer, not null'],
  [[3], 'must be an integer, not an array'],
  [3.5, 'must be an integer'],
  [Number.NaN, 'must be an integer'],
  [1e39, 'must be an integer'],
  [-1, 'is not an id of hour: must be from 3 to 26'],
  [2, 'is not an id of hour: must be from 3 to 26'],
  [27, 'is not an id of hour: must be from 3 to 26'],
  [80, 'is not an id of hour: must be from 3 to 26'],
  [2 ** 32 + 3, 'is not an id of hour: must be from 3 to 26'],
] as const) {
  t.test(`${typeof value === 'number' ? value : JSON.stringify(value)} is no id of the second field`, async (t) => {
    t.same(problems([ids, [0, value, 27, 30]], [numbers, numbers]), [`/sparse/1/1 ${message}`])
  })
}

for (const [value, message] of [
  ['3', 'must be a number, not a string'],
  [null, 'must be a number, not null'],
  [true, 'must be a number, not a boolean'],
  [1e39, 'is too large for float32'],
  [Number.NaN, 'must be finite'],
  [Number.POSITIVE_INFINITY, 'must be finite'],
] as const) {
  t.test(`${typeof value === 'number' ? value : JSON.stringify(value)} is no float32`, async (t) => {
    t.same(problems([ids], [[1, value]]), [`/dense/0/1 ${message}`])
  })
}

t.test('tensors carry no bids to rank by', async (t) => {
  t.same(problems([ids], [numbers], { ...options, bids: true }), [
    '/options/rank/by ecpm needs bids, which only candidates have',
  ])
})

t.test('more rows than allowed are refused as such', async (t) => {
  t.throws(() => tensors([ids, ids], [numbers, numbers], { ...options, maxRows: 1 }), { code: 'TOO_MANY_ROWS' })
})

t.test('at most a hundred problems are told', async (t) => {
  const bad = Array.from({ length: 300 }, () => [0, 0, 27, 30])
  const told = problems(
    bad,
    bad.map(() => ['x', 1]),
  )
  t.equal(told.length, 100)
  t.match(told.at(-1), /^\/sparse\/99\/1 /)
})

t.test('a model without numbers takes no dense tensor', async (t) => {
  const { tensors } = createEncoder(features.slice(0, 2))
  t.same([...tensors([[1, 4]], undefined, options).sparse], [1, 4])
  t.equal(tensors([[1, 4]], undefined, options).dense.length, 0)
  t.same(
    problemsOf(() => tensors([[1, 4]], [[]], options)),
    ['/dense must be left out: the model has no dense fields'],
  )
})

t.test('a model without ids takes no sparse tensor', async (t) => {
  const { tensors } = createEncoder(features.slice(4))
  const encoded = tensors(undefined, [numbers, numbers], options)
  t.equal(encoded.rows, 2)
  t.equal(encoded.sparse.length, 0)
  t.same(
    problemsOf(() => tensors([], [numbers], options)),
    ['/sparse must be left out: the model has no sparse fields'],
  )
})

t.test('in part, a row that is wrong in either tensor is left out, the others move up', async (t) => {
  const encoded = tensors([[0, 0, 27, 30], ids, ids, [2, 26, 29, 79]], [numbers, ['x', 1], 5, [7, 8]], partial)
  t.equal(encoded.requested, 4)
  t.equal(encoded.rows, 1)
  t.same([...(encoded.index ?? [])], [3])
  t.same([...encoded.sparse], [2, 26, 29, 79])
  t.same([...encoded.dense], [7, 8])
  t.same(
    encoded.problems.map(({ path }) => path),
    ['/sparse/0/1', '/dense/1/0', '/dense/2'],
  )
})

t.test('in part, no row may be left', async (t) => {
  const encoded = tensors([[]], [[]], partial)
  t.equal(encoded.rows, 0)
  t.equal(encoded.requested, 1)
  t.equal(encoded.sparse.length, 0)
})

t.test('in part, bad rows beyond the hundredth problem are left out too', async (t) => {
  const bad = Array.from({ length: 250 }, () => [0, 0, 27, 30])
  const encoded = tensors([...bad, ids], new Array(251).fill(numbers), partial)
  t.equal(encoded.problems.length, 100)
  t.same([...(encoded.index ?? [])], [250])
})

t.test('in part, tensors of different lengths still refuse the request', async (t) => {
  t.same(problems([ids, ids], [numbers], partial), ['/dense has 1 rows where sparse has 2'])
})

/** The rows of arrays as matrices; ids as 64-bit floats, which hold any number. */
const matrices = (sparse: number[][], dense: number[][]) =>
  [sparse, dense].map(
    (rows) => new NumberMatrix(rows.length, rows[0]?.length ?? 0, Float64Array.from(rows.flat())),
  ) as [NumberMatrix, NumberMatrix]

t.test('matrices are taken as arrays of rows are', async (t) => {
  const rows = [ids, [2, 26, 29, 79]]
  const encoded = tensors(...matrices(rows, [numbers, [0.1, 3e38]]))
  t.same(encoded, tensors(rows, [numbers, [0.1, 3e38]]))
})

t.test('what is wrong with a matrix is told as of arrays of rows', async (t) => {
  for (const [sparse, dense] of [
    [
      [ids, [0, 2, 27, 30.5]],
      [numbers, [Number.NaN, 1e39]],
    ],
    [
      [ids, [0, 2 ** 32 + 3, -1, 80]],
      [numbers, [Number.POSITIVE_INFINITY, -1e39]],
    ],
    [[ids, ids], [numbers]],
    [[[0, 3, 27]], [[1, 2, 3]]],
  ] as const) {
    const rows = [sparse, dense].map((tensor) => tensor.map((row) => [...row])) as [number[][], number[][]]
    t.same(problems(...matrices(...rows)), problems(...rows))
  }
  const empty = new NumberMatrix(0, 4, new Int32Array())
  t.same(problems(empty, [numbers]), problems([], [numbers]))
  const infinite = new NumberMatrix(1, 2, Float32Array.of(1, Number.POSITIVE_INFINITY))
  t.same(problems([ids], infinite), ['/dense/0/1 must be finite'])
  const many = new NumberMatrix(2, 4, Int32Array.of(...ids, ...ids))
  const two = new NumberMatrix(2, 2, Float32Array.of(...numbers, ...numbers))
  t.throws(() => tensors(many, two, { ...options, maxRows: 1 }), { code: 'TOO_MANY_ROWS' })
})

t.test('in part, bad rows of a matrix are left out', async (t) => {
  const encoded = tensors(...matrices([[0, 0, 27, 30], ids], [numbers, numbers]), partial)
  t.same([...(encoded.index ?? [])], [1])
  t.same([...encoded.sparse], ids)
})
