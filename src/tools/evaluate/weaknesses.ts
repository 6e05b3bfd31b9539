import type { TaskEvaluation } from '../../schemas/evaluation.ts'
import { metricTitles } from './format.ts'
import { deciding } from './paired-differences.ts'

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
    return `${metricTitles[metric]} ${b!.toFixed(4)}, not ${a!.toFixed(4)}`
  })
  return [...weak, `${name} is worse than logistic regression on the same fields: ${found.join('; ')}`]
}
