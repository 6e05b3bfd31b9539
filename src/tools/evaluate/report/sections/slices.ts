import type { Slice, TaskEvaluation } from '../../../../schemas/evaluation.ts'
import { estimateCell, html, longTable, name, numeric } from '../base/html.ts'
import { count, digits } from '../base/numbers.ts'
import { ratioAxis, ratioEnd, ratioStrip } from '../charts/forest.ts'
import type { SectionOf } from './section.ts'

const shown = 15

/** Parts of the rows by values of fields, worst calibrated first. */
export const slicesSection: SectionOf = ({ tasks }) => {
  const sliced = tasks.filter(({ slices }) => slices.length > 0)
  if (sliced.length === 0) return undefined
  const body = html`<p>Worst calibrated first. A ratio of 1.05 means that the model predicts 5 % more than was observed. Hollow dots have an interval that includes 1; filled dots do not, but by chance alone one slice in twenty would look like that. The axis is logarithmic, its line is 1, and arrows lie beyond its ends.</p>
${sliced.map(
  (task) => html`<h3>Slices of ${task.name}</h3>
${sliceTable(task)}`,
)}`
  return { id: 'slices', title: 'Slices', body }
}

function sliceTable({ name: task, slices }: TaskEvaluation) {
  const end = ratioEnd(slices.map(({ metrics }) => metrics.calibration_ratio))
  return longTable(
    {
      caption: `${task}: worst calibrated slices`,
      kind: 'inline',
      columns: ['Slice', ...numeric('Calibration ratio'), ratioAxis(end), ...numeric('AUC', 'Rows', 'Positives')],
      rows: slices.map((slice) => cellsOf(slice, end)),
    },
    shown,
    `${task}: more slices`,
  )
}

function cellsOf(slice: Slice, end: number) {
  const { metrics, rows, positives } = slice
  return [
    html`${name(slice.field)}: ${name(slice.value)}${kindOf(slice)}`,
    estimateCell(metrics.calibration_ratio, digits.calibration_ratio),
    ratioStrip(metrics.calibration_ratio, end),
    estimateCell(metrics.auc, digits.auc),
    count(rows),
    count(positives),
  ]
}

/** How many values a slice of several has. */
function kindOf({ kind, values }: Slice) {
  return (kind === 'others' || kind === 'unknown') && html` <span class="tag">(${count(values)} values)</span>`
}
