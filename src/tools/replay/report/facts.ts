import { html, name, numeric, table } from '../../evaluate/report/base/html.ts'
import { count, percent } from '../../evaluate/report/base/numbers.ts'
import type { Section } from '../../evaluate/report/base/page.ts'
import type { ReplayReport } from '../describe.ts'
import { plain } from './words.ts'

/** Values that the newer version does not know. */
export function unknownSection({ unknown, rows, after, left_out }: ReplayReport): Section | undefined {
  const fields = Object.entries(unknown).sort(([, a], [, b]) => b - a)
  if (fields.length === 0 && left_out === 0) return undefined
  const body = html`<p>${name(after)} treats a value that it does not know like any other that it has never seen.${
    left_out > 0 && ` ${count(left_out)} candidates are left out, as tables do not have their keys.`
  }</p>
${
  fields.length > 0 &&
  table({
    caption: 'Candidates with an unknown value',
    columns: ['Field', ...numeric('Candidates', 'Share')],
    groups: [fields.map(([field, found]) => [name(field), count(found), percent(found / rows)])],
  })
}`
  return { id: 'unknown', title: 'Unknown values', body }
}

/** Latency and processor time. */
export function costSection({ cost }: ReplayReport): Section | undefined {
  if (cost.length === 0) return undefined
  const body = html`<p>A few of the requests, one at a time, in this process and without HTTP: compare the versions, not other machines.</p>
${table({
  caption: 'Time of a request',
  columns: ['Version', ...numeric('Requests', 'p50, ms', 'p99, ms', 'Processor time per candidate, µs')],
  groups: [
    cost.map(({ version, requests, p50_ms, p99_ms, processor_us }) => [
      name(version),
      count(requests),
      plain(p50_ms),
      plain(p99_ms),
      plain(processor_us),
    ]),
  ],
})}`
  return { id: 'cost', title: 'Latency and cost', body }
}
