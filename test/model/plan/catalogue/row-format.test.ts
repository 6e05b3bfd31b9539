import fc from 'fast-check'
import t from 'tap'
import { canStore, loadRows, rowBytes, storeRows } from '../../../../src/model/plan/catalogue/row-format.ts'

const values = fc
  .array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 4, maxLength: 40 })
  .map((numbers) => Float32Array.from(numbers.slice(0, Math.floor(numbers.length / 4) * 4)))

t.test('float32 is stored as it is', async (t) => {
  const numbers = Float32Array.of(1.5, -0, Number.NaN, Number.POSITIVE_INFINITY)
  t.same(loadRows(storeRows('float32', numbers, 2), 2), numbers)
  t.equal(rowBytes('float32', 10), 40)
  t.equal(rowBytes('bfloat16', 10), 20)
  t.equal(rowBytes('int8', 10), 14)
})

t.test('bfloat16 rounds to the nearest of 8 significant bits', async (t) => {
  fc.assert(
    fc.property(values, (numbers) => {
      const stored = loadRows(storeRows('bfloat16', numbers, 4), 4)
      return numbers.every((value, i) => {
        const apart = Math.abs(stored[i]! - value)
        // Near the largest float32, the nearest is infinity; subnormal values have fewer bits.
        return Math.abs(value) > 3.38e38 || apart <= Math.max(Math.abs(value) * 2 ** -8, 2 ** -133)
      })
    }),
  )
  const load = (value: number) => loadRows(storeRows('bfloat16', Float32Array.of(value), 1), 1)[0]!
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
      const { values: stored, scales } = storeRows('int8', numbers, 4)
      const loaded = loadRows({ values: stored, scales: scales! }, 4)
      return numbers.every((value, i) => {
        const row = numbers.subarray(i - (i % 4), i - (i % 4) + 4)
        const step = Math.max(...row.map(Math.abs)) / 127
        // Rows of tiny values are 0.
        return step < 2 ** -106 ? loaded[i] === 0 : Math.abs(loaded[i]! - value) <= step * 0.5001
      })
    }),
  )
  t.same(loadRows(storeRows('int8', new Float32Array(4), 4), 4), new Float32Array(4))
  t.notOk(canStore('int8', Float32Array.of(1, Number.NaN)))
  t.notOk(canStore('int8', Float32Array.of(Number.NEGATIVE_INFINITY)))
  t.notOk(canStore('int8', Float32Array.of(-2e38)), 'it would be read as −∞')
  t.ok(canStore('int8', Float32Array.of(1e38)))
  t.ok(canStore('bfloat16', Float32Array.of(Number.NaN)))
})
