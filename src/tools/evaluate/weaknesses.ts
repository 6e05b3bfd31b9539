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
  const found = shownAs('worse', baselines)
  if (found.length === 0) return weak
  return [...weak, `${name} is worse than logistic regression on the same fields: ${found.join('; ')}`]
}

/** How a task that has no weakness compares with logistic regression. */
export function strengthOf({ baselines }: TaskEvaluation): string {
  const found = shownAs('better', baselines)
  return found.length === 0
    ? 'no difference from logistic regression is shown'
    : `better than logistic regression: ${found.join('; ')}`
}

/** Metrics that are shown to be better, or worse, than those of logistic regression. */
function shownAs(verdict: 'better' | 'worse', { logistic }: TaskEvaluation['baselines']): string[] {
  const { differences } = logistic ?? {}
  if (differences === undefined) return []
  const shown = deciding.filter((metric) => differences[metric].verdict === verdict)
  return shown.map((metric) => {
    const { a, b } = differences[metric]
    return `${metricTitles[metric]} ${formatNumber(b, digits[metric])}, not ${formatNumber(a, digits[metric])}`
  })
}
