import { limits } from '../../../../model/graph/int8/judge.ts'
import type { EvaluationReport } from '../../../../schemas/evaluation.ts'
import { type Content, figure, grid, html, name, numeric, table } from '../base/html.ts'
import { count, decimal, fixed, percent } from '../base/numbers.ts'
import { aucChart, lossChart } from '../charts/history.ts'
import type { SectionOf } from './section.ts'

/** Losses and AUC by epoch of the training. */
export const historySection: SectionOf = async ({ history = [] }, draw) => {
  if (history.length === 0) return undefined
  const figures: Content[] = [figure('Loss', lowest(history), await draw(lossChart(history)))]
  for (const task of new Set(history.flatMap(({ auc }) => Object.keys(auc)))) {
    const chart = aucChart(history, task)
    if (chart) figures.push(figure(html`AUC of <bdi>${task}</bdi>`, 'On the validation rows.', await draw(chart)))
  }
  const body = html`<p>Validation loss that rises while the loss of training falls means overfitting: the weights fit the training rows, and no others.</p>
${grid(figures)}`
  return { id: 'history', title: 'Training', body }
}

function lowest(history: NonNullable<Parameters<SectionOf>[0]['history']>): string {
  const judged = history.filter(({ validation_loss }) => validation_loss !== null)
  if (judged.length === 0) return 'No validation loss was recorded.'
  const best = judged.reduce((a, b) => (b.validation_loss! < a.validation_loss! ? b : a))
  return `The validation loss is lowest in epoch ${best.epoch}: ${decimal(best.validation_loss, 4)}. The loss of the training steps includes regularisation.`
}

type Check = NonNullable<EvaluationReport['int8_check']>

/** How int8 and bfloat16 compare with float32. */
export const precisionsSection: SectionOf = ({ int8_check, bfloat16_check }) => {
  const checks = Object.entries({ int8: int8_check, bfloat16: bfloat16_check }).flatMap(([precision, check]) =>
    check === undefined ? [] : { precision, check },
  )
  if (checks.length === 0) return undefined
  const body = html`<p>A precision is served only if its predictions stay close to those of float32: for every task, AUC falls by at most ${fixed(limits.auc_loss, 4)}, the mean prediction changes by at most ${limits.mean_change * 100}\u00a0%, and 99 of 100 logits differ by at most ${fixed(limits.logit_p99, 2)}.</p>
${checks.map(({ precision, check }) => checkOf(precision, check))}`
  return { id: 'precisions', title: 'Precisions', body }
}

const checkOf = (precision: string, { passed, rows, tasks, reasons }: Check) => html`<p>${
  passed ? html`<span class="good">✓ ${precision} passes</span>` : html`<span class="bad">✗ ${precision} fails</span>`
} on ${count(rows)} rows.</p>
${reasons.length > 0 && html`<ul>${reasons.map((reason) => html`<li>${name(reason)}</li>\n`)}</ul>\n`}${table({
  caption: `${precision} and float32`,
  columns: ['Task', ...numeric('Loss of AUC', 'Change of the mean', 'Logits apart, 99th percentile', 'At most')],
  groups: [
    tasks.map(({ task, auc_loss, mean_change, logit_p99, logit_max }) => [
      name(task),
      auc_loss === null ? '–' : fixed(auc_loss, 6),
      percent(mean_change),
      fixed(logit_p99, 4),
      fixed(logit_max, 4),
    ]),
  ],
})}`
