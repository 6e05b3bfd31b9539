import type { AttentionRow, SequenceUse } from '../../../../schemas/sequence-use.ts'
import { type Content, html, join, name, numeric, table } from '../base/html.ts'
import { count, fixed, percent } from '../base/numbers.ts'
import type { SectionOf } from './section.ts'

/** How long lists are, and what the candidate is compared with in them. */
export const sequencesSection: SectionOf = ({ sequences = [] }) => {
  if (sequences.length === 0) return undefined
  const body = html`<p>The model knows nothing from an empty list, and values beyond the most that it takes are cut.</p>
${table({
  caption: 'Lengths of lists',
  columns: ['Sequence', 'Lists', ...numeric('At most', 'Mean', '10 %', 'Median', '90 %', 'Longest', 'Empty', 'Cut')],
  groups: [sequences.map(lengthsRow)],
})}${sequences.map(attentionOf)}`
  return { id: 'sequences', title: 'Sequences', body }
}

function lengthsRow({ name: sequence, fields, max, lengths }: SequenceUse): Content[] {
  const { mean, p10, median, p90, most, empty, cut } = lengths
  return [
    name(sequence),
    join(fields.map(name), ', '),
    count(max),
    fixed(mean, 1),
    ...[p10, median, p90, most].map(count),
    percent(empty),
    percent(cut),
  ]
}

function attentionOf({ name: sequence, attention }: SequenceUse): Content {
  if (attention === undefined) return undefined
  return html`<h3>What ${name(attention.kind)} looks at in ${name(sequence)}</h3>
<p>Items of golden rows, most weighted first. The share is that of all weights of the row without their signs: a negative weight speaks against the candidate, as far as the item's numbers do.</p>
${attention.rows.map((row) => itemsTable(sequence, row))}`
}

function itemsTable(sequence: string, { row, target, items, more }: AttentionRow): Content {
  const [first] = items
  const compared = Object.entries(target).map(([field, value]) => `${field} ${value ?? 'missing'}`)
  const caption = `${sequence} of golden row ${row}${compared.length > 0 ? `, for ${compared.join(', ')}` : ''}`
  return html`${table({
    caption,
    columns: [...Object.keys(first!.values), ...numeric('Weight', 'Share')],
    groups: [
      items.map(({ values, weight, share }) => [
        ...Object.values(values).map((value) => (typeof value === 'number' ? value : name(value))),
        fixed(weight, 4),
        html`${percent(share)}<span class="${share > 0 ? 'bar' : 'bar none'}" style="--w:${share.toFixed(3)}"></span>`,
      ]),
    ],
  })}${more > 0 && html`<p>${count(more)} more of less weight.</p>\n`}`
}
