import { html, name } from '../base/html.ts'
import { table } from '../base/table.ts'
import type { SectionOf } from './section.ts'

/** The conditions for publication, failed ones first. */
export const publishSection: SectionOf = ({ publish }) => {
  if (publish === undefined || publish.conditions.length === 0) return undefined
  const sorted = publish.conditions.toSorted((a, b) => Number(a.passed) - Number(b.passed))
  const body = html`<p>A version is published only if it meets every condition.</p>
${table({
  caption: 'Conditions for publication',
  columns: [{ title: 'Condition' }, { title: 'Found' }, { title: 'Outcome' }],
  groups: [
    sorted.map(({ condition, found, passed }) => ({
      cells: [
        name(condition),
        name(found),
        passed ? html`<span class="good">✓ met</span>` : html`<span class="bad">✗ failed</span>`,
      ],
    })),
  ],
})}`
  return { id: 'publish', title: 'Conditions', body }
}
