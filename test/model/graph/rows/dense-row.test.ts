import t from 'tap'
import { createHeap } from '../../../../src/model/graph/rows/program.ts'
import { fc, randomCases } from '../../../support/cases.ts'

const value = fc.oneof(
  { weight: 12, arbitrary: fc.float({ noNaN: true, min: -1000, max: 1000 }) },
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e-45),
)

t.test('sums as float32 does, for any widths, and leaves all else unchanged', async () => {
  await fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 1, max: 75 }),
      fc.boolean(),
      fc.array(value, { minLength: 11, maxLength: 60 }),
      (k, n, relu, values) => {
        const { buffer, denseRow } = createHeap(4 * (k + k * n + 3 * n + 64))
        const floats = new Float32Array(buffer)
        let next = 0
        const draw = () => Math.fround(values[next++ % values.length]!)
        const [x, w, bias, out] = [0, k, k + k * n, k + k * n + n + 1] as const
        for (let i = 0; i < out; i++) floats[i] = draw()
        const before = floats.slice(0, out)
        denseRow(x * 4, k, w * 4, n, bias * 4, relu ? 0 : Number.NEGATIVE_INFINITY, out * 4)
        for (let j = 0; j < n; j++) {
          let sum = before[bias + j]!
          for (let i = 0; i < k; i++) sum = Math.fround(sum + Math.fround(before[i]! * before[w + i * n + j]!))
          const expected = relu && sum < 0 ? 0 : sum
          if (!Object.is(floats[out + j], expected)) throw new Error(`column ${j}: ${floats[out + j]}, not ${expected}`)
        }
        if (!before.every((number, i) => Object.is(number, floats[i]))) throw new Error('an operand was changed')
        if (floats.subarray(out + n).some((number) => number !== 0)) throw new Error('it wrote too far')
      },
    ),
    { numRuns: randomCases(300) },
  )
})
