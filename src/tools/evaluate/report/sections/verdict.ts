import { counted } from '../../../../base/terminal.ts'
import type { Comparison } from '../../../../schemas/comparison.ts'
import type { EvaluationReport, PublishOutcome, TaskEvaluation } from '../../../../schemas/evaluation.ts'
import { type Content, html, type Markup, name, table } from '../base/html.ts'
import { digits, interval, percent } from '../base/numbers.ts'
import type { SectionOf } from './section.ts'

type Tone = 'good' | 'bad' | 'caution' | 'plain'

interface Judgement {
  tone: Tone
  title: Content
  reasons: Content[]
}

const marks: Record<Tone, string> = { good: '✓ ', bad: '✗ ', caution: '! ', plain: '' }

/** Whether to ship and why, where the report has conditions or a comparison, and one sentence per task. */
export function verdictBox(report: EvaluationReport): Markup {
  const { tone, title, reasons } = judge(report)
  return html`<section class="verdict ${tone}" aria-labelledby="verdict"><h2 id="verdict">${marks[tone]}${title}</h2>
${reasons}${reasons.length > 0 && report.tasks.length > 0 && html`<p>Per task:</p>\n`}${bullets(report.tasks.map(sentence))}</section>
`
}

function judge({ publish, comparison, tasks }: EvaluationReport): Judgement {
  const reasons: Content[] = [...(publish ? outcome(publish) : []), ...(comparison ? compared(comparison) : [])]
  if (publish && !publish.passed) return { tone: 'bad', title: 'Do not ship: conditions failed', reasons }
  if (comparison?.verdict === 'worse')
    return {
      tone: publish ? 'caution' : 'bad',
      title: publish
        ? html`All conditions are met, but it is worse than ${name(comparison.a)}`
        : html`Do not ship: worse than ${name(comparison.a)}`,
      reasons,
    }
  if (comparison?.verdict === 'better')
    return { tone: 'good', title: html`Ship: better than ${name(comparison.a)}`, reasons }
  if (publish) return { tone: 'good', title: 'Ship: all conditions are met', reasons }
  if (comparison)
    return {
      tone: 'caution',
      title: html`No reason to ship: no difference from ${name(comparison.a)} is shown`,
      reasons,
    }
  return { tone: 'plain', title: tasks.length === 0 ? 'No task was judged' : 'In short', reasons }
}

function outcome({ conditions }: PublishOutcome): Content[] {
  const failed = conditions.filter(({ passed }) => !passed)
  if (failed.length === 0) return [html`<p>${counted(conditions.length, 'condition')} checked, all met.</p>\n`]
  return [
    html`<p>${failed.length} of ${counted(conditions.length, 'condition')} failed:</p>\n`,
    bullets(failed.map(({ condition, found }) => html`${name(condition)}: found ${name(found)}`)),
  ]
}

const bullets = (lines: readonly Content[]) =>
  lines.length > 0 && html`<ul>${lines.map((line) => html`<li>${line}</li>\n`)}</ul>\n`

const words = { better: 'Better than', worse: 'Worse than', 'no difference shown': 'No difference shown from' } as const

function compared({ verdict, a, reasons }: Comparison): Content[] {
  return [html`<p>${words[verdict]} ${name(a)}${reasons.length > 0 ? ':' : '.'}</p>\n`, bullets(reasons.map(name))]
}

/** `ctr: AUC .7902 (.7841 … .7963), predicts 2.1 % too low (…)`. */
function sentence({ name: task, metrics, positives }: TaskEvaluation): Content {
  if (metrics.auc.value === null && metrics.calibration_ratio.value === null)
    return html`<b>${task}</b>: cannot be judged: ${positives === 0 ? 'no row is positive' : 'its rows are of one class'}.`
  return html`<b>${task}</b>: AUC ${interval(metrics.auc, digits.auc)}, ${bias(metrics.calibration_ratio)}.`
}

function bias(ratio: TaskEvaluation['metrics']['calibration_ratio']): string {
  const { value, low, high } = ratio
  if (value === null) return 'calibration unknown'
  const shown = `calibration ratio ${interval(ratio, digits.calibration_ratio)}`
  const sure = low === null || high === null || low > 1 || high < 1
  if (!sure) return `no bias shown (${shown})`
  if (value === 1) return `predicts the observed rate (${shown})`
  return `predicts ${percent(Math.abs(value - 1))} too ${value > 1 ? 'high' : 'low'} (${shown})`
}

/** The conditions for publication, failed ones first. */
export const publishSection: SectionOf = ({ publish }) => {
  if (publish === undefined || publish.conditions.length === 0) return undefined
  const sorted = publish.conditions.toSorted((a, b) => Number(a.passed) - Number(b.passed))
  const body = html`<p>A version is published only if it meets every condition.</p>
${table({
  caption: 'Conditions for publication',
  columns: ['Condition', 'Found', 'Outcome'],
  groups: [
    sorted.map(({ condition, found, passed }) => [
      name(condition),
      name(found),
      passed ? html`<span class="good">✓ met</span>` : html`<span class="bad">✗ failed</span>`,
    ]),
  ],
})}`
  return { id: 'publish', title: 'Conditions', body }
}
