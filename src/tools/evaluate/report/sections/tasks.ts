import type { GateUse, TaskEvaluation } from '../../../../schemas/evaluation.ts'
import { type Content, figure, grid, html, type Markup, name, numeric, table } from '../base/html.ts'
import { count, decimal, digits, fixed, interval } from '../base/numbers.ts'
import type { Draw } from '../charts/draw.ts'
import { histogramChart } from '../charts/histogram.ts'
import { eceChart, reliabilityChart } from '../charts/reliability.ts'
import { rocChart } from '../charts/roc.ts'
import type { SectionOf } from './section.ts'

/** Curves of every task. */
export const tasksSection: SectionOf = async ({ tasks }, draw) => {
  const parts: Content[] = []
  for (const task of tasks) parts.push(await taskPart(task, draw))
  if (parts.every((part) => part === undefined)) return undefined
  const body = html`<p>ROC shows the order of the predictions, reliability their size, and the histogram what they are made of. A model for ranking alone needs the first; bids and expected values need the second as well.</p>
${parts}`
  return { id: 'tasks', title: 'Tasks', body }
}

async function taskPart(task: TaskEvaluation, draw: Draw): Promise<Markup | undefined> {
  const figures = [await roc(task, draw), await reliability(task, draw), await histogram(task, draw)]
  const drawn = figures.filter((part) => part !== undefined)
  const error = await ece(task, draw)
  if (drawn.length === 0 && error === undefined) return undefined
  return html`<h3>${task.name}</h3>
${task.description !== undefined && html`<p>${name(task.description)}</p>`}${drawn.length > 0 && grid(drawn)}${error}`
}

async function roc(task: TaskEvaluation, draw: Draw) {
  if (task.metrics.auc.value === null || task.roc.fpr.length === 0) return undefined
  const reading = `The further above the dashed diagonal, the better positives are ranked above negatives. AUC, the area below, is ${interval(task.metrics.auc, digits.auc)}.`
  return figure(`ROC of ${task.name}`, reading, await draw(rocChart(task)))
}

async function reliability(task: TaskEvaluation, draw: Draw) {
  const chart = reliabilityChart(task)
  if (chart === undefined) return undefined
  const { calibration, reliability } = task
  const reading = html`Points above the dashed diagonal are predicted too low, points below too high; bars are 95 % intervals.${
    calibration !== undefined && html` Calibration: ${name(calibration)}.`
  }${reliability.served.some(({ positives }) => positives === 0) && ' Bins without a positive stand at the lower edge.'}`
  return figure(`Reliability of ${task.name}`, reading, await draw(chart))
}

async function ece(task: TaskEvaluation, draw: Draw) {
  const chart = eceChart(task)
  const { ece_measured: measured, ece_perfect: perfect } = task
  if (chart === undefined || measured === null || perfect === undefined) return undefined
  const [low, high] = [perfect.low, perfect.high].map((value) => decimal(value, digits.ece))
  const conclusion =
    measured > perfect.high
      ? 'That is more than chance explains: the miscalibration is real.'
      : 'Chance alone explains that.'
  const reading = `Even perfect calibration does not measure 0. Of perfectly calibrated predictions of this many rows, 95 % measure ${low} … ${high}; this task measures ${decimal(measured, digits.ece)}. ${conclusion}`
  // Beside its text, or below it where the screen is narrow.
  return figure(`Calibration error of ${task.name}`, reading, await draw(chart), 'side')
}

async function histogram(task: TaskEvaluation, draw: Draw) {
  const chart = histogramChart(task)
  if (chart === undefined) return undefined
  const reading =
    'The less bars and line overlap, the better the classes are separated. The axis is logarithmic towards 0 and 1.'
  return figure(`Predictions of ${task.name}`, reading, await draw(chart))
}

/** Mean weights of the experts per task and slice. */
export const gatesSection: SectionOf = ({ gates }) => {
  if (gates === undefined || gates.tasks.length === 0) return undefined
  const even = fixed(1 / gates.experts, 2)
  const body = html`<p>Mean weight that the gate of each task gives to each expert, over ${count(gates.rows)} sampled rows. Equal use would be ${even} each. An expert that no task weights is wasted; equal rows mean that the gates treat tasks or slices alike.</p>
${table({
  caption: 'Weights of the experts per task',
  kind: 'heat',
  columns: ['Task', ...expertColumns(gates)],
  groups: [gates.tasks.map(({ task, weights }) => [task, ...cells(weights)])],
})}${sliceTable(gates)}`
  return { id: 'gates', title: 'Gates', body }
}

function sliceTable(gates: GateUse) {
  if (gates.slices.length === 0) return undefined
  const tasks = [...new Set(gates.slices.map(({ task }) => task))]
  return table({
    caption: 'Weights of the experts in the largest slices',
    kind: 'heat',
    columns: ['Slice', 'Task', ...numeric('Rows'), ...expertColumns(gates)],
    groups: tasks.map((task) =>
      gates.slices
        .filter((slice) => slice.task === task)
        .map(({ field, value, rows, weights }) => [
          html`${name(field)}: ${name(value)}`,
          task,
          count(rows),
          ...cells(weights),
        ]),
    ),
  })
}

const expertColumns = ({ experts }: GateUse) => numeric(...Array.from({ length: experts }, (_, i) => `Expert ${i + 1}`))

/** Numbers over a shade of their size. */
const cells = (weights: readonly number[]): Content[] =>
  weights.map((weight) => html`<span class="shade" style="--w:${weight.toFixed(3)}">${fixed(weight, 2)}</span>`)
