import { useMemo, useState } from 'preact/hooks'
import { askDistributions } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { number, percent } from '../../parts/format.ts'
import { useSearch } from '../../parts/pager.tsx'
import { Pending } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'
import { type DriftRow, describeObservations, driftWord, fewest, rowsOf, subjectOf, summaryOf } from './drift-rows.ts'
import type { Bin, Field } from './words.ts'

const perPage = 15

/** Live values beside those of the test rows, what has moved most first. */
export function Drift({ model, version, fields }: { model: string; version: string; fields: readonly Field[] }) {
  const asking = () => askDistributions(model, version)
  const { data, error, again } = useAsk(asking, [model, version], { everySeconds: 10 })
  const rows = useMemo(() => (data === undefined ? [] : rowsOf(data, fields)), [data, fields])
  const { shown, pager, field } = useSearch('fields and tasks', rows, perPage, ({ name }) => name)
  if (data === undefined) return <Pending what="distributions" error={error} again={again} />
  return (
    <>
      <p class="muted">
        Compares live traffic with the rows that the version was judged on. The population stability index (PSI) adds up
        how far shares have moved: below 0.1 is steady, from 0.25 on the field has drifted and predictions may be worse
        than measured. One row per request counts, and up to 16 of its answers.
        {fields.some(({ list }) => list !== undefined) &&
          ' A list is compared twice: by its values, each of which counts, and by how many it has.'}
      </p>
      {field('Search fields and tasks', 'row small')}
      <p>
        <strong>{summaryOf(rows)}</strong>
      </p>
      <ul class="drifts">
        {shown.map((row) => (
          <Row key={`${row.kind} ${row.name}`} row={row} />
        ))}
      </ul>
      {pager}
    </>
  )
}

function Row({ row }: { row: DriftRow }) {
  const [open, setOpen] = useState(false)
  const { kind, name, psi, observations, bins, unknown } = row
  const { word, tone } = driftWord(psi)
  return (
    <li>
      <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <span class="row">
            <span class="drift-name">
              <bdi>{name}</bdi>
              {kind !== 'field' && <span class="muted small"> {kind}</span>}
            </span>
            <span class={`pill ${tone}`}>
              {bins.length > 0 ? word : kind === 'vector' ? 'not compared' : 'no reference'}
            </span>
            {psi !== null && <span class="small">PSI {number(psi)}</span>}
            {psi === null && bins.length > 0 && (
              <span class="small">
                {number(observations, 9)} of {fewest}
              </span>
            )}
            {unknown > 0 && <span class="pill warning">{number(unknown, 9)} unknown</span>}
          </span>
        </summary>
        {open && (
          <div class="drift-body">
            <p class="small muted">{describeObservations(row)}</p>
            <MovedMost bins={bins} isProbability={kind === 'task'} />
            {bins.length > 0 && <Histogram row={row} />}
          </div>
        )}
      </details>
    </li>
  )
}

/** From this share of the test rows on, a bin without live values is worth a word. */
const notable = 0.01

/** The bin whose share changed most, in words. */
function MovedMost({ bins, isProbability }: { bins: readonly Bin[]; isProbability: boolean }) {
  const change = ({ then, now }: Bin) => Math.abs(now - then)
  const [first] = [...bins].sort((a, b) => change(b) - change(a))
  if (first === undefined || bins.every(({ now }) => now === 0)) return null
  const emptied = bins.filter(({ then, now }) => now === 0 && then >= notable).length
  return (
    <p class="small">
      Moved most: <bdi>{labelOf(first, isProbability)}</bdi>, {percent(first.then)} then, {percent(first.now)} now.
      {emptied > 0 && ` Bins without values now: ${number(emptied)} of ${number(bins.length)}.`}
    </p>
  )
}

function labelOf(bin: Bin, isProbability: boolean): string {
  return isProbability && bin.low !== undefined && bin.high !== undefined
    ? `${percent(bin.low)} to ${percent(bin.high)}`
    : bin.label
}

/** Shares of then and now side by side, and the numbers as a table. */
function Histogram({ row }: { row: DriftRow }) {
  const { kind, bins } = row
  const subject = subjectOf(row)
  const most = Math.max(1e-9, ...bins.flatMap(({ then, now }) => [then, now]))
  const height = (share: number) => (100 * share) / most
  const label = (bin: Bin) => labelOf(bin, kind === 'task')
  return (
    <>
      <ul class="legend row small">
        <li>
          <span class="swatch then" /> then: test rows
        </li>
        <li>
          <span class="swatch now" /> now: live
        </li>
      </ul>
      <svg
        class="histogram"
        role="img"
        aria-label={`Shares of ${subject} then and now, up to ${percent(most)}; the numbers follow`}
        viewBox={`0 0 ${bins.length * 10} 100`}
        preserveAspectRatio="none"
      >
        {bins.map((bin, i) => (
          <g key={`${i} ${bin.label}`}>
            <title>{`${label(bin)}: ${percent(bin.then)} → ${percent(bin.now)}`}</title>
            <rect class="then" x={i * 10 + 1} width={3.8} y={100 - height(bin.then)} height={height(bin.then)} />
            <rect class="now" x={i * 10 + 5.2} width={3.8} y={100 - height(bin.now)} height={height(bin.now)} />
          </g>
        ))}
      </svg>
      <p class="ends small muted" aria-hidden="true">
        <bdi>{label(bins[0]!)}</bdi>
        <bdi>{label(bins.at(-1)!)}</bdi>
      </p>
      <details>
        <summary>Numbers</summary>
        <Table
          label={`Shares of ${subject}`}
          rows={bins}
          columns={[
            { title: kind === 'length' ? 'Length' : 'Value', text: label },
            { title: 'Then', value: ({ then }) => then, format: percent },
            { title: 'Now', value: ({ now }) => now, format: percent },
          ]}
        />
      </details>
    </>
  )
}
