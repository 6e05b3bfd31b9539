import type { TaskEvaluation } from '../../schemas/evaluation.ts'
import { formatNumber, metricTitles } from './format.ts'
import { deciding } from './paired-differences.ts'
import { digits } from './report/base/numbers.ts'

/** Lines on what a simpler prediction does better, or as well. */
export function weaknessesOf({ name, metrics, baselines }: TaskEvaluation): string[] {
  const { value: entropy } = metrics.normalised_entropy
  const weak =
    entropy !== null && entropy >= 1
      ? [`${name} predicts no better than its base rate: the normalised entropy is ${entropy.toFixed(3)}, not below 1`]
      : []
  const { differences } = baselines.logistic ?? {}
  if (differences === undefined) return weak
  const lost = deciding.filter((metric) => differences[metric].verdict === 'worse')
  if (lost.length === 0) return weak
  const found = lost.map((metric) => {
    const { a, b } = differences[metric]
    return `${metricTitles[metric]} ${formatNumber(b, digits[metric])}, not ${formatNumber(a, digits[metric])}`
  })
  return [...weak, `${name} is worse than logistic regression on the same fields: ${found.join('; ')}`]
}
