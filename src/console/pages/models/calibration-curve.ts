import { createCalibrator } from '../../../model/serving/calibration/calibrator.ts'
import type { Calibration } from '../../../schemas/manifest.ts'

/** The smallest probability that is drawn, as a power of ten. */
export const lowest = -4

/** Where the curve is computed: evenly on a logarithmic axis. */
const drawn = Array.from({ length: 65 }, (_, i) => Math.min(0.9999, 10 ** (lowest * (1 - i / 64))))

/** Raw probabilities with the calibrated ones that the server makes of them. */
export function curveOf(
  calibration: Calibration,
  raws: readonly number[] = drawn,
): [raw: number, calibrated: number][] {
  const calibrate = createCalibrator(calibration)
  return raws.map((raw) => [raw, calibrate(raw)])
}
