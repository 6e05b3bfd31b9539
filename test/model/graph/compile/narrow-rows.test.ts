import t from 'tap'
import { toFloat16, toInt8 } from '../../../../src/model/graph/compile/narrow-tables.ts'
import { fc } from '../../../support/cases.ts'
import { halfOf } from '../../../support/compile/widened.ts'

const halves = Array.from({ length: 0x7c00 }, (_, bits) => halfOf(bits))

/** Finite float32 values of all sizes. */
const value = fc.oneof(
  fc.float({ min: -65504, max: 65504, noNaN: true }),
  fc.float({ min: -1, max: 1, noNaN: true }),
  fc.float({ min: Math.fround(-(2 ** -13)), max: Math.fround(2 ** -13), noNaN: true }),
)

t.test('every float16 is kept', async (t) => {
  t.same([...toFloat16(Float32Array.from(halves))], [...halves.keys()])
  t.same(
    [...toFloat16(Float32Array.from(halves, (half) => -half))],
    [...halves.keys()].map((bits) => bits | 0x8000),
  )
})

t.test('halfway between two float16 the even one is taken; else the nearest', async (t) => {
  for (let bits = 0; bits + 1 < halves.length; bits++) {
    const [low, high] = [halves[bits]!, halves[bits + 1]!]
    const middle = (low + high) / 2
    const step = (high - low) / 1024
    const taken = [...toFloat16(Float32Array.of(middle - step, middle, middle + step))]
    const even = bits % 2 === 0 ? bits : bits + 1
    if (taken.join() !== [bits, even, bits + 1].join()) t.fail(`${middle}: ${taken}`)
  }
  fc.assert(
    fc.property(value, (value) => {
      const half = halfOf(toFloat16(Float32Array.of(value))[0]!)
      return Math.abs(half - value) <= Math.max(2 ** -25, Math.abs(value) * 2 ** -11)
    }),
  )
})

t.test('float16 refuses what it can not hold', async (t) => {
  for (const value of [65505, -1e5, Number.NaN, Number.POSITIVE_INFINITY])
    t.throws(() => toFloat16(Float32Array.of(0, value)), { message: `${value} is no float16` })
})

t.test('each byte is within half a step of its row', async () => {
  const rows = fc.record({
    dim: fc.integer({ min: 1, max: 20 }),
    scales: fc.array(fc.constantFrom(1e-38, 1e-6, 1, 1e6, 3e38), { minLength: 1, maxLength: 5 }),
    seed: fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 20, maxLength: 20 }),
  })
  fc.assert(
    fc.property(rows, ({ dim, scales, seed }) => {
      const values = Float32Array.from(scales.flatMap((scale) => seed.slice(0, dim).map((value) => value * scale)))
      const { bytes, scales: steps } = toInt8(values, dim)
      return values.every((value, i) => {
        const step = steps[Math.floor(i / dim)]!
        // A step below the smallest normal number is rounded itself.
        return Math.abs(value - bytes[i]! * step) <= step * 0.50001 + 1e-43
      })
    }),
  )
})

t.test('int8 keeps zeros, uses all its steps, and refuses what is not finite', async (t) => {
  t.same(toInt8(Float32Array.of(0, -0, 127, -63.5), 2), {
    bytes: Int8Array.of(0, 0, 127, -63),
    scales: Float32Array.of(0, 1),
  })
  t.same([...toInt8(Float32Array.of(1e-45, 0), 2).bytes], [0, 0])
  for (const value of [Number.NaN, Number.NEGATIVE_INFINITY])
    t.throws(() => toInt8(Float32Array.of(1, value), 1), { message: `${value} is not finite` })
})
