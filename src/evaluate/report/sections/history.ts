import { figure, grid } from '../base/figure.ts'
import { type Content, html } from '../base/html.ts'
import { decimal } from '../base/numbers.ts'
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
