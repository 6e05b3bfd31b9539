import { html, name } from '../base/html.ts'
import { count, percent } from '../base/numbers.ts'
import { longTable } from '../base/table.ts'
import type { SectionOf } from './section.ts'

/** The model's inputs, those with the most unknown values first. */
export const fieldsSection: SectionOf = ({ model: { fields } }) => {
  if (fields.length === 0) return undefined
  const sorted = fields.toSorted((a, b) => b.unknown - a.unknown)
  const body = html`<p>The inputs, those with the most unknown values first. The model treats an unknown value like any other that it has never seen; a large share means a stale vocabulary or an error in the data.</p>
${longTable(
  {
    caption: 'Fields of the model',
    columns: [
      { title: 'Field' },
      { title: 'Unknown values', end: true },
      { title: 'Side' },
      { title: 'Kind' },
      { title: 'Ids', end: true },
    ],
    rows: sorted.map((field) => ({
      cells: [
        name(field.name),
        html`${percent(field.unknown)}<span class="${field.unknown > 0 ? 'bar' : 'bar none'}" style="--w:${field.unknown.toFixed(3)}"></span>`,
        name(field.side),
        name(field.kind),
        field.ids === undefined ? '' : count(field.ids),
      ],
    })),
  },
  40,
  'Fields with fewer unknown values',
)}`
  return { id: 'fields', title: 'Fields', body }
}
