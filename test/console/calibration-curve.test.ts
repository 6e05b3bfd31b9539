import t from 'tap'
import { curveOf } from '../../src/console/pages/models/calibration-curve.ts'
import { createCalibrator } from '../../src/model/serving/calibration/calibrator.ts'
import type { Calibration } from '../../src/schemas/manifest.ts'

const calibrations: Calibration[] = [
  { method: 'platt', a: 0.5, b: -1 },
  { method: 'negative_sampling', kept: 0.1 },
  { method: 'isotonic', x: [0.01, 0.3, 0.9], y: [0.002, 0.1, 0.95] },
]

/** 0 and 1, which float32 probabilities reach; next to them; at, inside and outside of points that were fitted. */
const raws = [0, 1e-300, 1e-13, 0.001, 0.01, 0.1, 0.3, 0.9, 0.95, 1 - 1e-13, 1]

t.test('the curve is what the model serves, at its ends and beyond, too', async (t) => {
  for (const calibration of calibrations) {
    const calibrate = createCalibrator(calibration)
    t.same(
      curveOf(calibration, raws),
      raws.map((raw) => [raw, calibrate(raw)]),
      calibration.method,
    )
    for (const [raw, calibrated] of curveOf(calibration)) t.equal(calibrated, calibrate(raw))
  }
})

t.test('a logit that would be infinite is bounded, and outside of its points a curve is level', async (t) => {
  const [platt, , isotonic] = calibrations
  const [[, lowest], [, highest]] = curveOf(platt!, [0, 1]) as [[number, number], [number, number]]
  t.ok(lowest > 0 && highest < 1, 'as served: neither is certain')
  t.same(curveOf(isotonic!, [0, 1]), [
    [0, 0.002],
    [1, 0.95],
  ])
})
