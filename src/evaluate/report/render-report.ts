import type { EvaluationReport } from '../../schemas/evaluation.ts'
export async function renderReport(_report: EvaluationReport): Promise<string> {
  return ''
}
