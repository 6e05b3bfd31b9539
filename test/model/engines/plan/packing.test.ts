import t from 'tap'
import type { Batch, TensorData } from '../../../../src/model/contracts/engine.ts'
import { createPacker, sameContext } from '../../../../src/model/engines/plan/packing.ts'
import { fc, randomCases } from '../../../support/cases.ts'

const number = fc.oneof(
  fc.integer({ min: 0, max: 9 }),
  fc.constantFrom(Number.NaN, -0, 0, Number.POSITIVE_INFINITY, 1e30, 0.5),
)

/** Some rows of an input, and columns of it in ascending order. */
const example = fc
  .record({
    rows: fc.integer({ min: 1, max: 9 }),
    width: fc.integer({ min: 1, max: 14 }),
    integers: fc.boolean(),
    type: fc.constantFrom('int32', 'int64', 'float32', 'uint8'),
    rank: fc.constantFrom(1, 2),
  })
  .chain(({ rows, width, integers, type, rank }) => {
    // No integers are made of floats: callers refuse them.
    const whole = integers || type === 'int32' || type === 'int64'
    return fc.record({
      rows: fc.constant(rows),
      width: fc.constant(width),
      type: fc.constant(type),
      rank: fc.constant(rank),
      values: fc
        .array(whole ? fc.integer({ min: -(2 ** 24), max: 2 ** 24 }) : number, {
          minLength: rows * width,
          maxLength: rows * width,
        })
        .map((list): TensorData => (whole ? Int32Array.from(list) : Float32Array.from(list))),
      columns: fc
        .subarray(
          Array.from({ length: width }, (_, i) => i),
          { minLength: 1 },
        )
        .map((columns) => (rank === 1 ? columns.slice(0, 1) : columns)),
      picks: fc.array(fc.array(fc.nat(rows - 1), { minLength: 1, maxLength: rows }), { minLength: 1, maxLength: 4 }),
    })
  })

t.test('packs these columns of these rows, in the order asked for, in the type of the plan', async () => {
  fc.assert(
    fc.property(example, ({ rows, width, type, rank, values, columns, picks }) => {
      const batch: Batch = { rows, inputs: { x: values } }
      const packer = createPacker({ name: 'rows:x', input: 'x', columns }, type, rank)
      const every = Array.from({ length: rows }, (_, i) => i)
      for (const picked of [...picks, every, [...every].reverse()]) {
        const tensor = packer.pack(batch, Int32Array.from(picked))
        const expected = picked.flatMap((row) => columns.map((column) => values[row * width + column]!))
        const array = type === 'int32' ? Int32Array : type === 'int64' ? BigInt64Array : Float32Array
        if (!(tensor.data instanceof array)) throw new Error(`is ${tensor.data.constructor.name}`)
        if (tensor.dims.join() !== (rank === 1 ? `${picked.length}` : `${picked.length},${columns.length}`))
          throw new Error(`is [${tensor.dims}]`)
        const actual = Array.from(tensor.data as Iterable<number | bigint>, Number)
        if (actual.length !== expected.length || actual.some((value, i) => !Object.is(value, expected[i])))
          throw new Error(`[${actual}] is not [${expected}]`)
      }
    }),
    { numRuns: randomCases(300) },
  )
})

t.test('what it answers lives until the next call, and no longer than the batch', async (t) => {
  const packer = createPacker({ name: 'x', input: 'x', columns: [1] }, 'float32', 2)
  const batch = (...values: number[]): Batch => ({ rows: 2, inputs: { x: Float32Array.from(values) } })
  const first = packer.pack(batch(1, 2, 3, 4), Int32Array.of(0, 1))
  t.same([...(first.data as Float32Array)], [2, 4])
  const shorter = packer.pack(batch(5, 6, 7, 8), Int32Array.of(1))
  t.same([...(shorter.data as Float32Array)], [8])
  t.throws(() => packer.pack({ rows: 1, inputs: {} }, Int32Array.of(0)), { message: 'the batch has no input x' })
})

t.test('keys are the bits of the columns, side by side', async () => {
  fc.assert(
    fc.property(example, fc.nat(5), ({ rows, width, values, columns, type }, before) => {
      const batch: Batch = { rows, inputs: { x: values } }
      const stride = before + columns.length + 1
      const keys = new Int32Array(rows * stride).fill(-7)
      createPacker({ name: 'x', input: 'x', columns }, type, 2).writeBits(batch, 0, rows, keys, stride, before)
      const floats = type !== 'int32' && type !== 'int64'
      for (let row = 0; row < rows; row++)
        for (let place = 0; place < stride; place++) {
          const column = columns[place - before]
          const value = column === undefined ? undefined : values[row * width + column]!
          const bits = value === undefined ? -7 : floats ? new Int32Array(Float32Array.of(value).buffer)[0] : value
          if (keys[row * stride + place] !== bits) throw new Error(`row ${row}, place ${place}`)
        }
    }),
  )
})

t.test('from a row in the middle of a batch on', async (t) => {
  const batch: Batch = { rows: 3, inputs: { x: Int32Array.of(1, 2, 3, 4, 5, 6) } }
  const keys = new Int32Array(2)
  createPacker({ name: 'x', input: 'x', columns: [1] }, 'int32', 2).writeBits(batch, 1, 2, keys, 1, 0)
  t.same([...keys], [4, 6])
})

t.test('a context is the same where all of its columns are', async (t) => {
  const packers = [
    createPacker({ name: 'context:ids', input: 'ids', columns: [0, 2] }, 'int32', 2),
    createPacker({ name: 'context:x', input: 'x', columns: [1] }, 'float32', 2),
  ]
  const batch = (ids: number[], x: number[]): Batch => ({
    rows: 3,
    inputs: { ids: Int32Array.from(ids), x: Float32Array.from(x) },
  })
  const same = batch([1, 0, 2, 1, 9, 2, 1, 8, 2], [0, 5, 1, 5, 2, 5])
  t.ok(sameContext(same, packers, 0, 3))
  t.ok(sameContext(same, packers, 2, 1))
  t.ok(sameContext(same, [], 0, 3), 'there is none')
  const ids = batch([1, 0, 2, 1, 9, 2, 1, 8, 3], [0, 5, 1, 5, 2, 5])
  t.notOk(sameContext(ids, packers, 0, 3))
  t.ok(sameContext(ids, packers, 0, 2), 'the row that differs is another request')
  t.notOk(sameContext(batch([1, 0, 2, 1, 9, 2, 1, 8, 2], [0, 5, 1, 6, 2, 5]), packers, 0, 3))
  const nan = batch([1, 0, 2, 1, 9, 2, 1, 8, 2], [0, Number.NaN, 1, Number.NaN, 2, Number.NaN])
  t.ok(sameContext(nan, packers, 0, 3), 'the same NaN is the same')
  const zeros = batch([1, 0, 2, 1, 9, 2, 1, 8, 2], [0, 0, 1, -0, 2, 0])
  t.notOk(sameContext(zeros, packers, 0, 3), '0 and −0 differ')
})
