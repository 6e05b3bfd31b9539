import { createCalibrator, multiply, sigmoid } from '../../model/serving/calibration/calibrator.ts'
import { fitCalibration, isotonicPositives, leastOfClass } from '../../model/serving/calibration/fit-calibration.ts'
import type { DerivedTask, Manifest, Task } from '../../schemas/manifest.ts'
import type { TrainSpec } from '../../schemas/train-spec.ts'
import { type Examples, termLabels } from './terms.ts'

/**
 * Fits the calibrations that a spec asks for to held-out rows. `logits`: [rows, tasks]. A calibration that would
 * reverse or flatten the ranking, or has few rows of a class, is left out, with a log line; where rows are few, the one
 * of the version that training goes on from is kept.
 */
export function calibrateTasks(
  spec: TrainSpec,
  rows: Examples,
  logits: Float32Array,
  log: (line: string) => void,
  from?: Pick<Manifest, 'name' | 'version' | 'tasks' | 'derived'>,
): { tasks: Task[]; derived: DerivedTask[] } {
  const width = spec.tasks.length
  /** Probabilities that the saved graph answers: float32. */
  const raw = spec.tasks.map((_, task) =>
    Float64Array.from({ length: rows.encoded.rows }, (_, row) => Math.fround(sigmoid(logits[row * width + task]!))),
  )
  const tooFew = (name: string, reason: string) => {
    const { calibration } = [...(from?.tasks ?? []), ...(from?.derived ?? [])].find((task) => task.name === name) ?? {}
    log(`calibration of ${name} ${calibration ? `kept from ${from?.name}/${from?.version}` : 'omitted'}: ${reason}`)
    return calibration === undefined ? {} : { calibration }
  }
  const fit = (
    name: string,
    method: TrainSpec['tasks'][number]['calibration'],
    factors: number[],
    values: Float64Array,
  ) => {
    if (method === undefined) return {}
    const { labels, weights } = termLabels({ factors }, spec.tasks, rows)
    const inside = (_: number, row: number) => labels[row]! >= 0
    const known = labels.filter(inside)
    const positives = known.reduce((sum, label) => sum + label, 0)
    const rarer = Math.min(positives, known.length - positives)
    if (rarer < leastOfClass) return tooFew(name, `it needs ${leastOfClass} rows of each class, and one has ${rarer}`)
    if (method === 'isotonic' && positives < isotonicPositives) {
      const needed = isotonicPositives.toLocaleString('en')
      return tooFew(name, `isotonic regression needs ${needed} positives, and there are ${positives}`)
    }
    const calibration = fitCalibration(method, {
      labels: Uint8Array.from(known),
      probabilities: values.filter(inside),
      weights: weights && Float64Array.from(weights).filter(inside),
      buckets: Uint32Array.from(labels, (_, row) => row).filter(inside),
    })
    if (calibration === undefined) log(`calibration of ${name} omitted: it would reverse or flatten the ranking`)
    return calibration === undefined ? {} : { calibration }
  }
  const tasks = spec.tasks.map(
    ({ name, description, calibration }, task): Task => ({
      name,
      ...(description === undefined ? {} : { description }),
      ...fit(name, calibration, [task], raw[task]!),
    }),
  )
  const served = tasks.map(({ calibration }, task) => raw[task]!.map(createCalibrator(calibration)))
  const derived = spec.derived.map(({ name, product, calibration }): DerivedTask => {
    const factors = product.map((factor) => spec.tasks.findIndex((task) => task.name === factor))
    const values = multiply(
      factors.map((task) => served[task]!),
      rows.encoded.rows,
    )
    return { name, product, ...fit(name, calibration, factors, values) }
  })
  return { tasks, derived }
}
