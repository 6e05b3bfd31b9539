import t, { type Test } from 'tap'
import { createCalibrator } from '../../../../src/model/serving/calibration/calibrator.ts'
import type { Calibration } from '../../../../src/schemas/manifest.ts'
import { fc } from '../../../support/cases.ts'

const isotonic = createCalibrator({ method: 'isotonic', x: [0.1, 0.3, 0.5, 0.9], y: [0.2, 0.2, 0.4, 0.8] })

function close(t: Test, actual: number, expected: number) {
  t.ok(Math.abs(actual - expected) < 1e-12, `${actual} is ${expected}`)
}

t.test('without a calibration the probability stays', async (t) => {
  t.equal(createCalibrator(undefined)(0.123), 0.123)
})

t.test('Platt scaling is linear in the logit', async (t) => {
  const platt = createCalibrator({ method: 'platt', a: 2, b: 1 })
  close(t, platt(0.25), 1 / (1 + Math.exp(-(2 * Math.log(1 / 3) + 1))))
})

t.test('Platt scaling by 1 and 0 changes nothing', async (t) => {
  const platt = createCalibrator({ method: 'platt', a: 1, b: 0 })
  for (const probability of [0.001, 0.5, 0.99]) close(t, platt(probability), probability)
})

t.test('Platt scaling is finite at 0 and 1', async (t) => {
  const platt = createCalibrator({ method: 'platt', a: 1, b: 2 })
  t.ok(platt(0) >= 0 && platt(0) < 1e-10)
  t.ok(platt(1) > 0.999 && platt(1) <= 1)
})

t.test('isotonic calibration meets its points', async (t) => {
  for (const [x, y] of [
    [0.1, 0.2],
    [0.3, 0.2],
    [0.5, 0.4],
    [0.9, 0.8],
  ] as const)
    close(t, isotonic(x), y)
})

t.test('isotonic calibration is linear between its points', async (t) => {
  close(t, isotonic(0.2), 0.2)
  close(t, isotonic(0.4), 0.3)
  close(t, isotonic(0.6), 0.5)
})

t.test('isotonic calibration is constant outside its points', async (t) => {
  t.equal(isotonic(0), 0.2)
  t.equal(isotonic(1), 0.8)
})

t.test('negative sampling is undone: a tenth of the negatives kept', async (t) => {
  // 10 positives and 90 negatives; 9 of these were kept.
  const corrected = createCalibrator({ method: 'negative_sampling', kept: 0.1 })
  close(t, corrected(10 / 19), 0.1)
})

t.test('negative sampling that kept all changes nothing', async (t) => {
  close(t, createCalibrator({ method: 'negative_sampling', kept: 1 })(0.37), 0.37)
})

t.test('negative sampling leaves certainties', async (t) => {
  const corrected = createCalibrator({ method: 'negative_sampling', kept: 0.01 })
  t.equal(corrected(0), 0)
  t.equal(corrected(1), 1)
})

const unit = fc.double({ min: 0, max: 1, noNaN: true })
const points = fc
  .uniqueArray(fc.integer({ min: 0, max: 1000 }), { minLength: 2, maxLength: 30 })
  .chain((x) => fc.tuple(fc.constant(x), fc.array(unit, { minLength: x.length, maxLength: x.length })))
  .map(
    ([x, y]): Calibration => ({
      method: 'isotonic',
      x: x.sort((a, b) => a - b).map((value) => value / 1000),
      y: y.sort((a, b) => a - b),
    }),
  )
const calibrations: Record<Calibration['method'], fc.Arbitrary<Calibration>> = {
  platt: fc.record({
    method: fc.constant('platt'),
    a: fc.double({ min: 0.01, max: 10, noNaN: true }),
    b: fc.double({ min: -10, max: 10, noNaN: true }),
  }),
  isotonic: points,
  negative_sampling: fc.record({
    method: fc.constant('negative_sampling'),
    kept: fc.double({ min: 1e-6, max: 1, noNaN: true }),
  }),
}

for (const [method, calibration] of Object.entries(calibrations)) {
  t.test(`${method} gives a probability and keeps the order, whatever its parameters`, async () => {
    fc.assert(
      fc.property(calibration, unit, unit, (parameters, a, b) => {
        const calibrate = createCalibrator(parameters)
        const [low, high] = [calibrate(Math.min(a, b)), calibrate(Math.max(a, b))]
        return low >= 0 && high <= 1 && low <= high + 1e-12
      }),
    )
  })
}

t.test('isotonic calibration equals a scan over its points', async () => {
  fc.assert(
    fc.property(points, unit, (calibration, probability) => {
      if (calibration.method !== 'isotonic') return false
      const { x, y } = calibration
      const next = x.findIndex((value) => value > probability)
      const expected =
        next === 0
          ? y[0]!
          : next === -1
            ? y.at(-1)!
            : y[next - 1]! + ((probability - x[next - 1]!) / (x[next]! - x[next - 1]!)) * (y[next]! - y[next - 1]!)
      return Math.abs(createCalibrator(calibration)(probability) - expected) < 1e-12
    }),
  )
})
