import type { GateUse } from '../../../schemas/evaluation.ts'
import { type Content, html, name } from '../base/html.ts'
import { count, fixed } from '../base/numbers.ts'
import { table } from '../base/table.ts'
import type { SectionOf } from './section.ts'

/** Mean weights of the experts per task and slice. */
export const gatesSection: SectionOf = ({ gates }) => {
  if (gates === undefined || gates.tasks.length === 0) return undefined
  const even = fixed(1 / gates.experts, 2)
  const body = html`<p>Mean weight that the gate of each task gives to each expert, over ${count(gates.rows)} sampled rows. Equal use would be ${even} each. An expert that no task weights is wasted; equal rows mean that the gates treat tasks or slices alike.</p>
${table({
  caption: 'Weights of the experts per task',
  kind: 'heat',
  columns: [{ title: 'Task' }, ...expertColumns(gates)],
  groups: [gates.tasks.map(({ task, weights }) => ({ cells: [task, ...cells(weights)] }))],
})}${sliceTable(gates)}`
  return { id: 'gates', title: 'Gates', body }
}

function sliceTable(gates: GateUse) {
  if (gates.slices.length === 0) return undefined
  const tasks = [...new Set(gates.slices.map(({ task }) => task))]
  return table({
    caption: 'Weights of the experts in the largest slices',
    kind: 'heat',
    columns: [{ title: 'Slice' }, { title: 'Task' }, { title: 'Rows', end: true }, ...expertColumns(gates)],
    groups: tasks.map((task) =>
      gates.slices
        .filter((slice) => slice.task === task)
        .map(({ field, value, rows, weights }) => ({
          cells: [html`${name(field)}: ${name(value)}`, task, count(rows), ...cells(weights)],
        })),
    ),
  })
}

const expertColumns = ({ experts }: GateUse) =>
  Array.from({ length: experts }, (_, i) => ({ title: `Expert ${i + 1}`, end: true }))

/** Numbers over a shade of their size. */
const cells = (weights: readonly number[]): Content[] =>
  weights.map((weight) => html`<span class="shade" style="--w:${weight.toFixed(3)}">${fixed(weight, 2)}</span>`)
