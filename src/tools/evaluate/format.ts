import { formatTable, grouped } from '../../base/terminal.ts'
import { formatContracts } from '../../model/serving/prediction/compare-contracts.ts'
import { type Comparison, type Estimate, type MetricName, metricNames } from '../../schemas/comparison.ts'
import type { EvaluationReport, PublishOutcome, TaskEvaluation } from '../../schemas/evaluation.ts'
import { describeTable } from './describe-table.ts'
import { formatSequences } from './format-sequences.ts'
import { digits } from './report/base/numbers.ts'

export const metricTitles: Record<MetricName, string> = {
  auc: 'AUC',
  logloss: 'log-loss',
  normalised_entropy: 'normalised entropy',
  calibration_ratio: 'calibration ratio',
  ece: 'ECE',
}

export function formatNumber(value: number | null | undefined, decimals: number): string {
  if (value === null || value === undefined) return '–'
  const text = value.toFixed(decimals)
  return Number(text) === 0 ? text.replace('-', '') : text
}

/** `0.7902 (0.7841 … 0.7963)` */
export function formatEstimate(estimate: Estimate, metric: MetricName): string {
  return `${formatNumber(estimate.value, digits[metric])} ${formatInterval(estimate, digits[metric])}`.trimEnd()
}

function formatInterval({ low, high }: Estimate, decimals: number): string {
  return low === null || high === null ? '' : `(${formatNumber(low, decimals)} … ${formatNumber(high, decimals)})`
}

/** A report as text, task by task. */
export function formatEvaluation({ data, tasks, warnings, comparison, publish, sequences }: EvaluationReport): string {
  return [
    ...tasks.map(formatTask),
    ...(data.tables ? [data.tables.map(describeTable).join('\n')] : []),
    ...(sequences ? [formatSequences(sequences)] : []),
    ...(comparison ? [formatComparison(comparison)] : []),
    ...(publish ? [formatPublish(publish)] : []),
    ...(warnings.length > 0 ? [warnings.map((warning) => `warning: ${warning}`).join('\n')] : []),
  ].join('\n\n')
}

function formatTask(task: TaskEvaluation): string {
  const { name, rows, positives, base_rate: rate, metrics, baselines, oracle, gauc, ece_perfect: perfect } = task
  const { logistic } = baselines
  const baseOf: Partial<Record<MetricName, number | null>> = {
    auc: 0.5,
    logloss: baselines.base_rate.logloss,
    normalised_entropy: 1,
    calibration_ratio: 1,
  }
  const columns = [
    'value',
    '95 % interval',
    'base rate',
    ...(logistic ? ['logistic'] : []),
    ...(oracle ? ['truth'] : []),
  ]
  const lines = metricNames.map((metric) => {
    const decimals = digits[metric]
    const truth = metric in (oracle ?? {}) ? oracle![metric as keyof typeof oracle] : undefined
    return [
      metricTitles[metric],
      formatNumber(metrics[metric].value, decimals),
      formatInterval(metrics[metric], decimals).replace(/[()]/g, ''),
      baseOf[metric] === undefined ? '' : formatNumber(baseOf[metric], decimals),
      ...(logistic ? [formatNumber(logistic.metrics[metric].value, decimals)] : []),
      ...(oracle ? [truth === undefined ? '' : formatNumber(truth, decimals)] : []),
    ]
  })
  const share = rate === null ? '' : `, base rate ${(100 * rate).toPrecision(3)} %`
  const notes = [
    ...(gauc
      ? [
          `  GAUC ${formatEstimate(gauc.by_rows, 'auc')} weighted by their rows, ${formatEstimate(gauc.by_positives, 'auc')} by their positives, ${formatEstimate(gauc.equally, 'auc')} equally; ${grouped(gauc.groups)} groups, ${grouped(gauc.one_class_groups)} more have one class`,
        ]
      : []),
    ...(perfect
      ? [
          `  ECE before debiasing ${formatNumber(task.ece_measured, 5)}; perfect calibration would give ${perfect.low.toFixed(5)} … ${perfect.high.toFixed(5)}`,
        ]
      : []),
  ]
  if (logistic) notes.push(...formatLogistic(logistic))
  const title = `${name}: ${grouped(rows)} rows, ${grouped(positives)} positives${share}`
  return [title, formatTable(['', ...columns], lines).replaceAll(/^/gm, '  '), ...notes].join('\n')
}

/** The regression's crossed fields, and how the version differs from it. */
function formatLogistic({ crossed, differences }: NonNullable<TaskEvaluation['baselines']['logistic']>): string[] {
  const found = (['auc', 'normalised_entropy'] as const).flatMap((metric) => {
    if (differences === undefined || differences[metric].difference.value === null) return []
    const { difference, verdict } = differences[metric]
    const decimals = digits[metric]
    const { low, high } = difference
    const isApart = low !== null && high !== null && (low > 0 || high < 0)
    // Each interval is one of several: a verdict asks for more.
    const why = isApart && verdict === 'no difference shown' ? ' at 5 % for all tasks together' : ''
    return [
      `${metricTitles[metric]} by ${formatNumber(difference.value, decimals)} ${formatInterval(difference, decimals)}, ${verdict}${why}`,
    ]
  })
  return [
    ...(crossed ? [`  logistic regression with ${crossed.join(', ')}`] : []),
    ...(found.length > 0 ? [`  differs from logistic regression: ${found.join('; ')}`] : []),
  ]
}

/** A comparison as text. */
export function formatComparison({ a, b, verdict, reasons, incompatible, tasks }: Comparison): string {
  const lines = tasks.flatMap(({ name, metrics }) =>
    metricNames.map((metric) => {
      const { a: first, b: second, difference, verdict: shown } = metrics[metric]
      const decimals = digits[metric]
      return [
        `${name} ${metricTitles[metric]}`,
        formatNumber(first, decimals),
        formatNumber(second, decimals),
        formatNumber(difference.value, decimals),
        formatInterval(difference, decimals).replace(/[()]/g, ''),
        shown ?? '',
      ]
    }),
  )
  const rankings = tasks.flatMap(({ name, ranking }) =>
    ranking
      ? [
          `${name}: ${formatNumber(ranking.overlap.value, 3)} of the top ${ranking.k} of a group are the same; rank correlation ${formatNumber(ranking.correlation.value, 3)} over ${grouped(ranking.groups)} groups`,
        ]
      : [],
  )
  return [
    formatTable(['', a, b, 'difference', '95 % interval', 'verdict'], lines),
    'The difference of a calibration ratio is that of its distance from 1.',
    ...rankings,
    ...(incompatible === undefined ? [] : [formatContracts(a, b, incompatible)]),
    `${b} compared with ${a}: ${verdict} (${reasons.join('; ')})`,
  ].join('\n')
}

export function formatPublish({ passed, conditions }: PublishOutcome): string {
  const lines = conditions.map(
    (condition) => `  ${condition.passed ? '✓' : '✗'} ${condition.condition}: ${condition.found}`,
  )
  return [
    passed ? 'meets the conditions to be published' : 'does not meet the conditions to be published',
    ...lines,
  ].join('\n')
}
