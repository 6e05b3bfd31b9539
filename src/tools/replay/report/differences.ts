import { type Content, figure, grid, html, longTable, name, numeric, table } from '../../evaluate/report/base/html.ts'
import { count, percent } from '../../evaluate/report/base/numbers.ts'
import type { Section } from '../../evaluate/report/base/page.ts'
import type { Draw } from '../../evaluate/report/charts/draw.ts'
import type { ReplayedDifferences, ReplayReport } from '../describe.ts'
import { shiftChart } from './charts.ts'
import { beforeOf, plain, signed } from './words.ts'

const shares = ['0.01', '0.05', '0.25', '0.5', '0.75', '0.95', '0.99'] as const
const shown = 12

/** How the answers and their order differ, by task. */
export async function differencesSection(report: ReplayReport, draw: Draw): Promise<Section> {
  const { tasks, after } = report
  const figures: Content[] = []
  for (const task of tasks) {
    const chart = shiftChart(task)
    if (chart === undefined) continue
    figures.push(
      figure(name(task.name), 'Differences of the logit; the ends have all that lies beyond.', await draw(chart)),
    )
  }
  const quantiles = tasks.flatMap(({ name: task, logit, probability }) => [
    [html`${name(task)}: Δlogit`, ...shares.map((share) => signed(logit[share]))],
    [html`${name(task)}: Δp`, ...shares.map((share) => signed(probability[share]))],
  ])
  const body = html`<p>A difference is the answer of ${name(after)} less that of ${name(beforeOf(report))}, for the same candidate. A difference of the logit of +.1 raises small probabilities by a tenth.</p>
${grid(figures)}${table({
  caption: 'Differences and order, by task',
  columns: ['Task', ...rankingColumns],
  groups: [tasks.map((task) => [name(task.name), ...rankingCells(task)])],
})}${table({
  caption: 'Quantiles of the differences',
  columns: ['Task', ...numeric(...shares.map((share) => `${Number(share) * 100} %`))],
  groups: [quantiles],
})}`
  return { id: 'differences', title: 'Differences', body }
}

const rankingColumns = numeric(
  'Candidates',
  'The same',
  'Largest Δp',
  'Kendall’s τ',
  'Best ten that stay',
  'Other winner',
)

function rankingCells({
  rows,
  same,
  largest,
  correlation,
  overlap,
  winners,
  requests,
}: ReplayedDifferences): Content[] {
  const winner = requests === 0 ? '–' : `${count(winners)} of ${count(requests)}`
  return [count(rows), percent(same), plain(largest), plain(correlation), percent(overlap), winner]
}

/** The same by values of fields. */
export function slicesSection({ tasks }: ReplayReport): Section | undefined {
  const sliced = tasks.filter(({ slices }) => slices.length > 0)
  if (sliced.length === 0) return undefined
  const body = html`<p>The values with the most candidates. The order of candidates is compared where a whole request has the value.</p>
${sliced.map((task) =>
  task.slices.map(({ field, values }) =>
    longTable(
      {
        caption: `${task.name} by ${field}`,
        columns: [html`${name(field)}`, ...numeric('Δlogit 5 %', '50 %', '95 %'), ...rankingColumns],
        rows: values.map((slice) => [
          name(slice.value),
          ...['0.05', '0.5', '0.95'].map((share) => signed(slice.logit[share])),
          ...rankingCells(slice),
        ]),
      },
      shown,
      `${task.name} by ${field}: more values`,
    ),
  ),
)}`
  return { id: 'slices', title: 'Slices', body }
}
