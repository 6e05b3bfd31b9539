import type { DriftRow } from '../../../../schemas/evaluation.ts'
import { type Content, figure, grid, html, longTable, name, numeric } from '../base/html.ts'
import { count, fixed, percent } from '../base/numbers.ts'
import type { Draw } from '../charts/draw.ts'
import { driftChart, mostBins } from '../charts/drift.ts'
import type { SectionOf } from './section.ts'

const drawn = 6

const kindNames = { feature: 'field', length: 'values in a list', task: 'predictions of a task' } as const

/** Fields and predictions whose distribution changed since the version was made, worst first. */
export const driftSection: SectionOf = async ({ drift = [] }, draw) => {
  if (drift.length === 0) return undefined
  const sorted = drift.toSorted((a, b) => b.psi - a.psi)
  const rest = sorted.slice(drawn)
  const body = html`<p>How much the rows differ from those that the version was made with. By convention a population stability index (PSI) of .1 is a moderate change and .25 a major one. In the charts, wide pale bars are the shares then, narrow dark bars the shares now.</p>
${grid(await charts(sorted.slice(0, drawn), draw))}${longTable(
  {
    caption: 'Population stability index',
    columns: ['Name', 'Kind', ...numeric('PSI'), 'Change'],
    rows: sorted.map(({ kind, name: field, psi }) => [name(field), kindNames[kind], fixed(psi, 3), change(psi)]),
  },
  10,
  'Population stability index, smaller changes',
)}${
  rest.length > 0 &&
  html`<details><summary>${rest.length} more charts</summary>
${grid(await charts(rest, draw))}</details>
`
}`
  return { id: 'drift', title: 'Drift', body }
}

async function charts(rows: readonly DriftRow[], draw: Draw): Promise<Content[]> {
  const figures: Content[] = []
  for (const row of rows) {
    const cut = row.bins.length > mostBins ? `; the ${mostBins} bins that changed most` : ''
    const chart = driftChart(row)
    if (chart === undefined) continue
    const title = row.kind === 'length' ? `${row.name}, number of values` : row.name
    figures.push(figure(name(title), `PSI ${fixed(row.psi, 3)}, ${level(row.psi)}${cut}.`, await draw(chart)))
  }
  return figures
}

function level(psi: number): string {
  if (psi >= 0.25) return 'major'
  return psi >= 0.1 ? 'moderate' : 'small'
}

function change(psi: number): Content {
  if (psi >= 0.25) return html`<span class="bad">✗ major</span>`
  return psi >= 0.1 ? html`<b>! moderate</b>` : 'small'
}

/** The model's inputs, those with the most unknown values first. */
export const fieldsSection: SectionOf = ({ model: { fields } }) => {
  if (fields.length === 0) return undefined
  const sorted = fields.toSorted((a, b) => b.unknown - a.unknown)
  const body = html`<p>The inputs, those with the most unknown values first. The model treats an unknown value like any other that it has never seen; a large share means a stale vocabulary or an error in the data.</p>
${longTable(
  {
    caption: 'Fields of the model',
    columns: ['Field', ...numeric('Unknown values'), 'Side', 'Kind', ...numeric('Ids')],
    rows: sorted.map((field) => [
      name(field.name),
      html`${percent(field.unknown)}<span class="${field.unknown > 0 ? 'bar' : 'bar none'}" style="--w:${field.unknown.toFixed(3)}"></span>`,
      name(field.side),
      name(field.kind),
      field.ids === undefined ? '' : count(field.ids),
    ]),
  },
  40,
  'Fields with fewer unknown values',
)}`
  return { id: 'fields', title: 'Fields', body }
}
