import { type Comparison, type Difference, type MetricName, metricNames } from '../../../../schemas/comparison.ts'
import {
  type Content,
  differenceCell,
  estimateCell,
  figure,
  grid,
  html,
  name,
  numeric,
  type Row,
  table,
} from '../base/html.ts'
import { count, decimal, digits, titles } from '../base/numbers.ts'
import type { Draw } from '../charts/draw.ts'
import { forestChart, higherIsBetter, shows } from '../charts/forest.ts'
import type { SectionOf } from './section.ts'

const all = [...metricNames, 'gauc'] as const

/** Paired differences from another version; without tasks the verdict says everything. */
export const comparisonSection: SectionOf = async ({ comparison }, draw) => {
  if (comparison === undefined || comparison.tasks.length === 0) return undefined
  const body = html`<p>Both versions predicted the same rows. <b>a</b> is ${name(comparison.a)}, <b>b</b> is ${name(comparison.b)}, and a difference is b − a. The intervals are paired, so that they are narrower than those of the two values. An interval that includes 0 shows no difference, and its circle is hollow; a filled circle is better, a square worse.</p>
${grid(await forests(comparison, draw))}${differenceTable(comparison)}${rankingTable(comparison)}`
  return { id: 'comparison', title: 'Comparison', body }
}

async function forests(comparison: Comparison, draw: Draw): Promise<Content[]> {
  const figures: Content[] = []
  for (const metric of all) {
    const chart = forestChart(comparison, metric)
    if (chart) figures.push(figure(`${titles[metric]}: difference`, reading(metric), await draw(chart)))
  }
  return figures
}

function reading(metric: MetricName | 'gauc'): string {
  if (metric === 'calibration_ratio') return 'Of the distance from 1; lower is better.'
  return higherIsBetter(metric) ? 'Higher is better.' : 'Lower is better.'
}

function differenceTable({ tasks }: Comparison) {
  const groups = tasks.map(({ name, metrics, gauc }) => [
    ...metricNames.map((metric) => differenceRow(name, metric, metrics[metric])),
    ...(gauc ? [differenceRow(name, 'gauc', gauc)] : []),
  ])
  return table({
    caption: 'Differences per task and metric',
    kind: 'inline signs',
    columns: ['Task, metric', ...numeric('a', 'b', 'Difference'), 'It shows'],
    groups,
  })
}

function differenceRow(task: string, metric: MetricName | 'gauc', difference: Difference): Row {
  const { a, b } = difference
  const shown = difference.verdict ?? shows(difference, metric)
  return [
    html`${task}: <span class="nowrap">${titles[metric]}</span>`,
    decimal(a, digits[metric]),
    decimal(b, digits[metric]),
    differenceCell(difference.difference, digits[metric]),
    verdicts[shown],
  ]
}

const verdicts: Record<Comparison['verdict'] | 'neither', Content> = {
  better: html`<span class="good">✓ better</span>`,
  worse: html`<span class="bad">✗ worse</span>`,
  'no difference shown': 'no difference',
  neither: 'no difference',
}

function rankingTable({ tasks }: Comparison) {
  const rows = tasks.flatMap(({ name, ranking }) => {
    if (ranking === undefined) return []
    const { groups, k, overlap, correlation } = ranking
    return [[name, count(groups), count(k), estimateCell(overlap, 3), estimateCell(correlation, 3)]]
  })
  if (rows.length === 0) return undefined
  return html`<h3>How alike both versions rank</h3>
<p>Low values mean that users see other results, whatever the metrics say: expect the effect online to differ from these rows.</p>
${table({
  caption: 'Ranking within groups',
  columns: ['Task', ...numeric('Groups', 'k', 'Shared of the top k', 'Rank correlation')],
  groups: [rows],
})}`
}
