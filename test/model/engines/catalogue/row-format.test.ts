import t from 'tap'
import type { RowPrecision } from '../../../../src/model/contracts/catalogue.ts'
import { canStore, createRowReader, rowWords, writeRows } from '../../../../src/model/engines/catalogue/row-format.ts'
import { fc } from '../../../support/cases.ts'

const values = fc
  .array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 4, maxLength: 40 })
  .map((numbers) => Float32Array.from(numbers.slice(0, Math.floor(numbers.length / 4) * 4)))

/** Rows of 4 values, with keys of 3 words, written and read again. */
function roundTrip(precision: RowPrecision, numbers: Float32Array): Float32Array {
  const shape = { precision, keyWords: 3, width: 4 }
  const rows = numbers.length / 4
  const keys = Int32Array.from({ length: rows * 3 }, (_, i) => i * 7 - 5)
  const stored = createRowReader(shape)(writeRows(shape, keys, numbers))
  const loaded = new Float32Array(numbers.length + 1)
  for (let row = 0; row < rows; row++) {
    if (!stored.hasKey(row, keys, row)) throw new Error(`row ${row} lost its key`)
    if (rows > 1 && stored.hasKey(row, keys, (row + 1) % rows)) throw new Error(`row ${row} has another's key`)
    stored.load(row, loaded, row * 4 + 1)
  }
  return loaded.subarray(1)
}

const one = (precision: RowPrecision, value: number) => roundTrip(precision, Float32Array.of(0, value, 0, 0))[1]!

t.test('float32 is stored unchanged', async (t) => {
  const numbers = Float32Array.of(1.5, -0, Number.NaN, Number.POSITIVE_INFINITY)
  t.same(roundTrip('float32', numbers), numbers)
  t.equal(rowWords({ precision: 'float32', keyWords: 3, width: 10 }), 13)
  t.equal(rowWords({ precision: 'bfloat16', keyWords: 3, width: 9 }), 8)
  t.equal(rowWords({ precision: 'int8', keyWords: 3, width: 9 }), 7)
})

t.test('bfloat16 rounds to the nearest of 8 significant bits', async (t) => {
  fc.assert(
    fc.property(values, (numbers) => {
      const stored = roundTrip('bfloat16', numbers)
      return numbers.every((value, i) => {
        const apart = Math.abs(stored[i]! - value)
        // Near the largest float32, the nearest is infinity; subnormal values have fewer bits.
        return Math.abs(value) > 3.38e38 || apart <= Math.max(Math.abs(value) * 2 ** -8, 2 ** -133)
      })
    }),
  )
  const load = (value: number) => one('bfloat16', value)
  t.equal(load(1 + 2 ** -8), 1, 'a tie goes to the even one')
  t.equal(load(1 + 3 * 2 ** -8), 1 + 2 ** -6)
  t.ok(Number.isNaN(load(Number.NaN)))
  t.equal(load(Number.NEGATIVE_INFINITY), Number.NEGATIVE_INFINITY)
  t.ok(Object.is(load(-0), -0))
})

t.test('int8 is within half a step of the largest value of its row', async (t) => {
  fc.assert(
    fc.property(values, (numbers) => {
      fc.pre(canStore('int8', numbers))
      const loaded = roundTrip('int8', numbers)
      return numbers.every((value, i) => {
        const row = numbers.subarray(i - (i % 4), i - (i % 4) + 4)
        const most = Math.max(...row.map(Math.abs))
        // Rows of tiny values are 0.
        return most <= 2 ** -100 ? loaded[i] === 0 : Math.abs(loaded[i]! - value) <= (most / 127) * 0.5001
      })
    }),
  )
  t.same(roundTrip('int8', new Float32Array(4)), new Float32Array(4))
  t.notOk(canStore('int8', Float32Array.of(1, Number.NaN)))
  t.notOk(canStore('int8', Float32Array.of(Number.NEGATIVE_INFINITY)))
  t.notOk(canStore('int8', Float32Array.of(-2e38)), 'it would be read as −∞')
  t.ok(canStore('int8', Float32Array.of(1e38)))
  t.ok(canStore('bfloat16', Float32Array.of(Number.NaN)))
})

t.test('rows of any width', async (t) => {
  const floats = Float32Array.from({ length: 70 }, (_, i) => Math.sin(i) * 2 ** (i % 9))
  for (let width = 1; width <= 35; width++)
    for (const precision of ['float32', 'bfloat16', 'int8'] as const) {
      const shape = { precision, keyWords: 1, width }
      const stored = createRowReader(shape)(writeRows(shape, Int32Array.of(3, 4), floats.subarray(0, 2 * width)))
      const loaded = new Float32Array(2 * width + 1).fill(77)
      for (const row of [1, 0]) stored.load(row, loaded, row * width)
      t.equal(loaded[2 * width], 77)
      const apart = floats.subarray(0, 2 * width).map((value, i) => Math.abs(value - loaded[i]!))
      t.ok(Math.max(...apart) <= { float32: 0, bfloat16: 0.5, int8: 1.02 }[precision], `${precision} ${width}`)
    }
})
