import { type MetricName, metricNames } from '../schemas/comparison.ts'
import type { EvaluationReport, PublishOutcome } from '../schemas/evaluation.ts'
import type { Publish } from '../schemas/rows-spec.ts'
import { formatEstimate, metricTitles } from './format.ts'
import { type JudgedPrecisions, precisionsOf } from './judge-precision.ts'

type Condition = PublishOutcome['conditions'][number]

/** What conditions are checked against. */
export interface PublishFacts {
  report: EvaluationReport
  /** Precisions against float32. */
  precisions?: JudgedPrecisions | undefined
}

/** Checks the conditions for a version to be published. A metric that is undefined meets no bound. */
export function checkPublish(publish: Publish, { report, precisions }: PublishFacts): PublishOutcome {
  const conditions: Condition[] = []
  for (const [task, bounds] of Object.entries(publish.metrics ?? {})) {
    const evaluated = report.tasks.find(({ name }) => name === task)
    for (const metric of metricNames) {
      const bound = bounds[metric]
      if (bound) conditions.push(checkBound(task, metric, bound, evaluated?.metrics[metric]))
    }
  }
  if (publish.not_worse) conditions.push(checkComparison(report))
  for (const precision of precisionsOf(publish)) {
    const { verdict, problem = 'not judged' } = precisions?.[precision] ?? {}
    const found = verdict ? verdict.reasons.join('; ') || 'within its limits' : problem
    conditions.push({ condition: `${precision} passes its check`, passed: verdict?.passed === true, found })
  }
  return { passed: conditions.every(({ passed }) => passed), conditions }
}

function checkBound(
  task: string,
  metric: MetricName,
  { min, max }: { min?: number; max?: number },
  estimate: EvaluationReport['tasks'][number]['metrics'][MetricName] | undefined,
): Condition {
  const wanted = [min === undefined ? '' : `≥ ${min}`, max === undefined ? '' : `≤ ${max}`]
    .filter(Boolean)
    .join(' and ')
  const condition = `${task} ${metricTitles[metric]} ${wanted}`
  if (estimate === undefined) return { condition, passed: false, found: `the rows have no labels of ${task}` }
  const { value } = estimate
  const passed = value !== null && (min === undefined || value >= min) && (max === undefined || value <= max)
  return { condition, passed, found: formatEstimate(estimate, metric) }
}

function checkComparison({ comparison }: EvaluationReport): Condition {
  if (comparison === undefined)
    return { condition: 'not worse than the version before', passed: true, found: 'there is no version before' }
  const { a, verdict, reasons } = comparison
  return { condition: `not worse than ${a}`, passed: verdict !== 'worse', found: `${verdict}: ${reasons.join('; ')}` }
}
