import { type Content, figure, grid, html, name } from '../../evaluate/report/base/html.ts'
import type { Section } from '../../evaluate/report/base/page.ts'
import type { Draw } from '../../evaluate/report/charts/draw.ts'
import { keepsOrder, orderKept, type ReplayedTask, type ReplayReport } from '../describe.ts'
import { barChart } from './charts.ts'
import { plain } from './words.ts'

/** Fields that a chart has. */
const mostFields = 10
/** The least share of the variance of a field whose values are drawn. */
const leastExplained = 0.05

/** The fields whose values go with the differences, and the values of the first. */
export async function causesSection(report: ReplayReport, draw: Draw): Promise<Section | undefined> {
  const figures: Content[] = []
  for (const task of report.tasks) if (task.same < 1) figures.push(...(await taskFigures(task, draw)))
  if (figures.length === 0) return undefined
  const ordered = report.tasks.filter(keepsOrder).map((task) => task.name)
  const body = html`<p>A field counts by its values: the share of the variance of the differences that they go with (ω²). Fields that others follow from look guilty, too.</p>
${ordered.length > 0 && html`<p>${ordered.join(', ')}: every request keeps the order of its candidates: ${orderKept}.</p>`}
${grid(figures)}`
  return { id: 'causes', title: 'Fields that make the difference', body }
}

async function taskFigures(task: ReplayedTask, draw: Draw): Promise<Content[]> {
  const fields = task.fields.slice(0, mostFields)
  const [first] = fields
  if (first === undefined) return []
  const explained = barChart({
    title: 'Share of the variance, ω²',
    rows: fields.map((field) => ({ label: field.field, value: Math.max(0, field.explained) })),
    signed: false,
    words: `Fields that go with the differences of ${task.name}`,
  })
  const figures = [figure(name(task.name), 'Share of each field.', await draw(explained))]
  if (first.explained < leastExplained || first.values.length < 2) return figures
  const values = barChart({
    title: 'Mean Δlogit: lower ←    → higher',
    rows: first.values.map(({ value, mean }) => ({ label: value, value: mean })),
    signed: true,
    words: `Mean difference of the logit of ${task.name} by ${first.field}`,
  })
  const reading = `The values of ${first.field} that move it most; share ${plain(first.explained)}.`
  return [...figures, figure(html`${name(task.name)} by ${name(first.field)}`, reading, await draw(values))]
}
