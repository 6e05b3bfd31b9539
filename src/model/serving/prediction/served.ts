import type { Manifest } from '../../../schemas/manifest.ts'
import { createCalibrator, createDerivedCalculator } from '../calibration/calibrator.ts'

/**
 * The values that a version serves for raw probabilities [rows, tasks]: calibrated and composed, per row one value per
 * task and then one per derived task.
 */
export function servedOf(
  { tasks, derived }: Pick<Manifest, 'tasks' | 'derived'>,
  raw: readonly (readonly number[])[],
): number[][] {
  const calibrators = tasks.map(({ calibration }) => createCalibrator(calibration))
  const calculators = derived.map((task) => ({ product: task.product, compute: createDerivedCalculator(task) }))
  return raw.map((row) => {
    const served = calibrators.map((calibrate, column) => calibrate(row[column]!))
    const byName = new Map(tasks.map(({ name }, column) => [name, [served[column]!]]))
    return [
      ...served,
      ...calculators.map(
        ({ product, compute }) =>
          compute(
            product.map((name) => byName.get(name)!),
            1,
          )[0]!,
      ),
    ]
  })
}
