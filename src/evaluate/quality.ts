import type { EvaluationReport } from '../schemas/evaluation.ts'
import type { TaskQuality } from '../schemas/manifest.ts'

/** A report's metrics as a manifest has them. */
export function qualityOf({ tasks }: Pick<EvaluationReport, 'tasks'>): Record<string, TaskQuality> {
  return Object.fromEntries(
    tasks.map(({ name, rows, positives, metrics, oracle }): [string, TaskQuality] => [
      name,
      {
        rows,
        positives,
        auc: metrics.auc.value,
        logloss: metrics.logloss.value,
        normalised_entropy: metrics.normalised_entropy.value,
        calibration_ratio: metrics.calibration_ratio.value,
        ...(typeof oracle?.auc === 'number' && { oracle_auc: oracle.auc }),
        ...(typeof oracle?.logloss === 'number' && { oracle_logloss: oracle.logloss }),
      },
    ]),
  )
}
