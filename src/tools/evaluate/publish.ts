import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { reasonOf, type Violation } from '../../base/errors.ts'
import { sizeOfOrdinary } from '../../base/files.ts'
import { check } from '../../schemas/check.ts'
import { type MetricName, metricNames } from '../../schemas/comparison.ts'
import type { EvaluationReport, PublishOutcome, TaskEvaluation } from '../../schemas/evaluation.ts'
import type { TaskQuality } from '../../schemas/manifest.ts'
import { Publish } from '../../schemas/publish.ts'
import { publishProblems, unlabelledTasks } from '../data/publish-problems.ts'
import { type LoadedRows, SpecError } from '../data/source.ts'
import { formatEstimate, metricTitles } from './format.ts'
import { type JudgedPrecisions, precisionsOf } from './judge-precision.ts'
import type { PredictorTask } from './predictor.ts'
import { labelledTasks } from './task-rows.ts'
import { strengthOf, weaknessesOf } from './weaknesses.ts'

type Condition = PublishOutcome['conditions'][number]

/** The facts that conditions are checked against. */
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
  if (publish.beats) conditions.push(...report.tasks.map(checkBaselines))
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

function checkBaselines(task: TaskEvaluation): Condition {
  const condition = `${task.name} is better than its base rate, and not worse than logistic regression`
  if (task.baselines.logistic === undefined || task.metrics.normalised_entropy.value === null)
    return { condition, passed: false, found: 'the baselines could not be judged on these rows' }
  const weak = weaknessesOf(task)
  return { condition, passed: weak.length === 0, found: weak.join('; ') || strengthOf(task) }
}

/**
 * The conditions of publishing a version with these tasks: those in the file `gate`, or, if it is true, those under
 * `publish` in the spec. Undefined without `gate`. Rejects with a SpecError for a file that is none, where the spec has
 * none, and for tasks that the rows have no labels of.
 */
export async function readConditions(
  gate: string | boolean | undefined,
  { file, spec }: Pick<LoadedRows, 'file' | 'spec'>,
  tasks: readonly PredictorTask[],
): Promise<Publish | undefined> {
  if (gate === undefined || gate === false) return undefined
  const labelled = labelledTasks(spec, tasks)
  if (gate === true) {
    const missing = { path: '/publish', message: 'is missing: --gate checks the conditions in it' }
    const problems = spec.publish ? unlabelledTasks(spec.publish, '/publish', labelled) : [missing]
    if (problems.length > 0) throw new SpecError(file, problems)
    return spec.publish
  }
  let written: unknown
  try {
    await sizeOfOrdinary(gate)
    written = parse(await readFile(gate, 'utf8'))
  } catch (error) {
    throw new SpecError(gate, [{ path: '', message: `can't be read: ${reasonOf(error)}` }])
  }
  const problems: Violation[] = []
  const publish = check(Publish, written, '', problems) as Publish
  if (problems.length === 0) problems.push(...publishProblems(publish, ''))
  problems.push(...unlabelledTasks(written, '', labelled))
  if (problems.length > 0) throw new SpecError(gate, problems)
  return publish
}

/** A report's metrics as a manifest has them. */
export function qualityOf({ tasks }: Pick<EvaluationReport, 'tasks'>): Record<string, TaskQuality> {
  return Object.fromEntries(
    tasks.map((task): [string, TaskQuality] => {
      const { name, rows, positives, metrics, oracle } = task
      const weaknesses = weaknessesOf(task)
      const quality = {
        rows,
        positives,
        auc: metrics.auc.value,
        logloss: metrics.logloss.value,
        normalised_entropy: metrics.normalised_entropy.value,
        calibration_ratio: metrics.calibration_ratio.value,
        ...(typeof oracle?.auc === 'number' && { oracle_auc: oracle.auc }),
        ...(typeof oracle?.logloss === 'number' && { oracle_logloss: oracle.logloss }),
        ...(weaknesses.length > 0 && { weaknesses }),
      }
      return [name, quality]
    }),
  )
}
