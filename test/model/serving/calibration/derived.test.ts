import t from 'tap'
import { createDerivedCalculator } from '../../../../src/model/serving/calibration/calibrator.ts'
import { fc } from '../../../support/cases.ts'

const probability = fc.double({ min: 0, max: 1, noNaN: true })

t.test('without a calibration, the product', async (t) => {
  const compute = createDerivedCalculator({})
  t.same([...compute([Float64Array.of(0.5, 0.1), Float64Array.of(0.5, 1)], 2)], [0.25, 0.1])
})

t.test(
  'calibrated, never above a factor, and a higher product never gives less where the factors allow it',
  async () => {
    const compute = createDerivedCalculator({ calibration: { method: 'platt', a: 0.8, b: 1.2 } })
    fc.assert(
      fc.property(fc.array(fc.tuple(probability, probability), { minLength: 1, maxLength: 20 }), (rows) => {
        const [a, b] = [Float64Array.from(rows, ([first]) => first), Float64Array.from(rows, ([, second]) => second)]
        const values = compute([a, b], rows.length)
        return values.every((value, i) => value >= 0 && value <= Math.min(a[i]!, b[i]!))
      }),
    )
  },
)
