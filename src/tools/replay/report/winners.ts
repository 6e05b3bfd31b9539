import type { FeatureValue } from '../../../schemas/feature-value.ts'
import { type Content, html, join, longTable, name, numeric } from '../../evaluate/report/base/html.ts'
import type { Section } from '../../evaluate/report/base/page.ts'
import type { ReplayReport } from '../describe.ts'
import { plain } from './words.ts'

const shown = 10
/** Fields that a row names. */
const mostFields = 3

type Changed = ReplayReport['tasks'][number]['changed'][number]

/** Requests in which another candidate comes first, those that moved most first. */
export function winnersSection({ tasks }: ReplayReport): Section | undefined {
  const changed = tasks.filter((task) => task.changed.length > 0)
  if (changed.length === 0) return undefined
  const body = html`<p>Requests in which another candidate comes first, those in which it gained most first: by how much the logits of the two moved apart. The fields are those in which the two differ.</p>
${changed.map((task) =>
  longTable(
    {
      caption: `${task.name}: other winners`,
      columns: ['Request', 'Was first', 'Is first', ...numeric('Gained'), 'Fields'],
      rows: task.changed.map((winner) => [
        name(winner.request),
        candidate(winner.before),
        candidate(winner.after),
        plain(winner.gap),
        fieldsOf(winner),
      ]),
    },
    shown,
    `${task.name}: more other winners`,
  ),
)}`
  return { id: 'winners', title: 'Other winners', body }
}

const candidate = ({ id, place, probability }: Changed['before']) =>
  html`${name(id ?? `candidate ${place}`)} <span class="ci">${plain(probability)}</span>`

function fieldsOf({ values }: Changed): Content {
  const fields = Object.entries(values)
  const named = fields
    .slice(0, mostFields)
    .map(([field, [was, is]]) => html`${name(field)} ${name(text(was))} → ${name(text(is))}`)
  const more = fields.length - named.length
  return [join(named, ', '), more > 0 && html`, <span class="tag">${more} more</span>`]
}

const text = (value: FeatureValue): string => {
  if (value === null || value === undefined) return 'none'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
