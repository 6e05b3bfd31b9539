import t from 'tap'
import { describeBins } from '../../src/console/pages/models/describe-bins.ts'

const bin = (predicted: number, low: number, high: number) => ({ predicted, low, high })

t.test('neighbouring bins with the same fault are one range', async (t) => {
  const bins = [
    bin(0.002, 0.003, 0.004),
    bin(0.009, 0.01, 0.02),
    bin(0.015, 0.01, 0.02),
    bin(0.03, 0.01, 0.02),
    bin(0.1, 0.2, 0.3),
  ]
  t.equal(
    describeBins(bins),
    'too low from 0.2% to 0.9%, too high at 3%, too low at 10%, 1 of 5 bins are as predicted, within their intervals',
  )
  t.equal(describeBins([bin(0.1, 0.1, 0.2)]), '1 of 1 bins are as predicted, within their intervals')
})
