import type { TaskEvaluation } from '../../../../schemas/evaluation.ts'
import { estimateCell, html, join, metricCells, metricColumns, name, numeric, type Row, table } from '../base/html.ts'
import { count, decimal, digits, percent } from '../base/numbers.ts'
import type { SectionOf } from './section.ts'

/** Metrics of all tasks, with what simpler predictions and the truth reach. */
export const summarySection: SectionOf = ({ tasks, replicates, data }) => {
  if (tasks.length === 0) return undefined
  const fitted = [...new Set(tasks.flatMap(({ baselines }) => baselines.logistic?.fitted ?? []))]
  const body = html`<p>Each value stands above its 95 % interval, which comes from ${count(replicates)} bootstrap replicates${
    data.group !== undefined && html` over groups (<bdi>${data.group}</bdi>)`
  }. A model is worth its cost where it beats the grey rows: the base rate, which is the best constant${
    fitted.length > 0 && html`, and logistic regression on the same fields (fitted on ${join(fitted.map(name), ', ')})`
  }.${tasks.some(({ oracle }) => oracle) && ' The oracle predicts the true probability: nothing can be better.'} A dash means that the metric is undefined.</p>
${table({
  caption: 'Metrics per task',
  kind: 'wide',
  columns: ['Task', ...numeric('Rows', 'Positives', 'Base rate'), ...metricColumns],
  groups: tasks.map(rowsOf),
})}${gaucTable(tasks)}`
  return { id: 'summary', title: 'Summary', body }
}

function rowsOf(task: TaskEvaluation): Row[] {
  const { base_rate: constant, logistic } = task.baselines
  const rows: Row[] = [
    {
      kind: 'lead',
      cells: [
        html`${task.name}${task.product && html` <span class="tag">= ${task.product.join(' × ')}</span>`}`,
        count(task.rows),
        count(task.positives),
        percent(task.base_rate),
        ...metricCells(task.metrics),
      ],
    },
    { kind: 'under', cells: ['base rate', '', '', '', '', decimal(constant.logloss, digits.logloss), '', '', ''] },
  ]
  if (logistic)
    rows.push({
      kind: 'under',
      cells: [
        html`logistic regression${logistic.crossed && html` <span class="tag">with ${join(logistic.crossed.map(name), ', ')}</span>`}`,
        '',
        '',
        '',
        ...metricCells(logistic.metrics),
      ],
    })
  if (task.oracle) {
    const { auc, logloss, normalised_entropy } = task.oracle
    const cells = [
      decimal(auc, digits.auc),
      decimal(logloss, digits.logloss),
      decimal(normalised_entropy, digits.normalised_entropy),
    ]
    rows.push({ kind: 'under', cells: ['oracle', '', '', '', ...cells, '', ''] })
  }
  return rows
}

function gaucTable(tasks: readonly TaskEvaluation[]) {
  const rows = tasks.flatMap(({ name, gauc }) => {
    if (gauc === undefined) return []
    const estimates = [gauc.by_rows, gauc.by_positives, gauc.equally]
    const cells = estimates.map((estimate) => estimateCell(estimate, digits.gauc))
    return [[name, ...cells, count(gauc.groups), count(gauc.one_class_groups)]]
  })
  if (rows.length === 0) return undefined
  return html`<p>GAUC is the mean AUC within groups: how well the model ranks what competes in one request. Groups of one class have no AUC and do not count.</p>
${table({
  caption: 'AUC within groups (GAUC)',
  columns: ['Task', ...numeric('Weight: rows', 'Weight: positives', 'Equal weight', 'Groups', 'Groups of one class')],
  groups: [rows],
})}`
}
