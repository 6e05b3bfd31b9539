import { type Content, figure, grid, html, name } from '../../evaluate/report/base/html.ts'
import type { Section } from '../../evaluate/report/base/page.ts'
import type { Draw } from '../../evaluate/report/charts/draw.ts'
import { keepsOrder, orderKept, type ReplayedTask, type ReplayReport, weight } from '../describe.ts'
import { barChart } from './charts.ts'
import { plain } from './words.ts'

/** Fields that a chart has. */
const mostFields = 10
/** The least weight of a field whose values are drawn. */
const leastWeight = 0.05

/** The fields on which the differences depend, and the values of the first. */
export async function causesSection(report: ReplayReport, draw: Draw): Promise<Section | undefined> {
  const figures: Content[] = []
  for (const task of report.tasks) if (task.same < 1) figures.push(...(await taskFigures(task, draw)))
  if (figures.length === 0) return undefined
  const { judge, before } = report
  const ordered = report.tasks.filter(keepsOrder).map((task) => task.name)
  const asked = before ?? judge
  const body = html`<p>${
    asked === undefined
      ? html`Only one version can be asked, so that a field counts by its values: the share of the variance of the differences that they go with (ω²). Fields that others follow from look guilty, too: give ${name('--baseline')} for more.`
      : html`Each field in turn takes the value of another candidate, and both versions, ${name(report.after)} and ${name(asked)}, are asked again. The effect is 0 where that changes no difference, and 1 where the differences then are those of other candidates (Sobol’s total effect).`
  }</p>
${ordered.length > 0 && html`<p>${ordered.join(', ')}: every request keeps the order of its candidates: ${orderKept}.</p>`}
${grid(figures)}`
  return { id: 'causes', title: 'Fields that make the difference', body }
}

async function taskFigures(task: ReplayedTask, draw: Draw): Promise<Content[]> {
  const fields = task.fields.slice(0, mostFields)
  const [first] = fields
  if (first === undefined) return []
  const effects = barChart({
    title: first.effect === null ? 'Share of the variance, ω²' : 'Effect on the difference',
    rows: fields.map((field) => ({ label: field.field, value: Math.max(0, weight(field)) })),
    signed: false,
    words: `Fields on which the differences of ${task.name} depend`,
  })
  const figures = [figure(name(task.name), 'Effect of each field.', await draw(effects))]
  if (weight(first) < leastWeight || first.values.length < 2) return figures
  const values = barChart({
    title: 'Mean Δlogit: lower ←    → higher',
    rows: first.values.map(({ value, mean }) => ({ label: value, value: mean })),
    signed: true,
    words: `Mean difference of the logit of ${task.name} by ${first.field}`,
  })
  const reading = `The values of ${first.field} that move it most; effect ${plain(weight(first))}.`
  return [...figures, figure(html`${name(task.name)} by ${name(first.field)}`, reading, await draw(values))]
}
