import { useState } from 'preact/hooks'
import { compact, milliseconds, number, time } from '../../parts/format.ts'
import { Scroll } from '../../parts/scroll.tsx'
import type { RequestRecord } from './stages.ts'
import { Status } from './status.tsx'
import { Shares, Waterfall } from './waterfall.tsx'

/** Rows that are shown, and added at a time. */
const step = 50

interface TableProps {
  title: string
  about: string
  records: readonly RequestRecord[]
  chosen: string
  onChoose(id: string): void
}

export function RequestTable({ title, about, records, chosen, onChoose }: TableProps) {
  const [most, setMost] = useState(step)
  const shown = records.slice(0, most)
  const longest = shown.reduce((ms, { total_ms }) => Math.max(ms, total_ms), 0)
  return (
    <section class="card list" aria-labelledby="requests-title">
      <header>
        <h2 id="requests-title" tabIndex={-1}>
          {title}
        </h2>
        <Shares records={records} />
      </header>
      <p class="small muted">{about}</p>
      <Scroll label="Table of requests">
        <table class="requests">
          <thead>
            <tr>
              <th>Ended</th>
              <th class="number">Total</th>
              <th>Stages</th>
              <th>Status</th>
              <th>Model and client</th>
              <th class="number">Rows</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((record, i) => (
              <Row
                key={`${record.request_id} ${record.ended} ${i}`}
                record={record}
                longest={longest}
                isChosen={record.request_id === chosen}
                onChoose={onChoose}
              />
            ))}
          </tbody>
        </table>
      </Scroll>
      <p class="small muted" role="status">
        {number(shown.length)} of {number(records.length)} {records.length === 1 ? 'request' : 'requests'}
      </p>
      {records.length > most && (
        <div class="actions">
          <button type="button" onClick={() => setMost(most + step)}>
            Show more
          </button>
        </div>
      )}
    </section>
  )
}

interface RowProps {
  record: RequestRecord
  longest: number
  isChosen: boolean
  onChoose(id: string): void
}

function Row({ record, longest, isChosen, onChoose }: RowProps) {
  const { request_id: id = '', ended, model, version, method, url, rows, total_ms, client } = record
  const wrong = record.errors?.[0]
  // By keyboard, the time is a button. Who marks a text does not mean the row.
  const onClick = () => {
    if (getSelection()?.isCollapsed !== false) onChoose(id)
  }
  return (
    <tr class={isChosen ? 'chosen' : undefined} onClick={onClick}>
      <td>
        <button type="button" class="choose" data-id={id} aria-pressed={isChosen}>
          {ended === undefined ? '–' : time(Date.parse(ended))}
        </button>
      </td>
      <td class="number">{milliseconds(total_ms)}</td>
      <td class="stages-cell">
        <Waterfall record={record} longest={longest} />
      </td>
      <td>
        <Status record={record} />
        {wrong !== undefined && (
          <p class="small reason">
            <bdi class="mono">{wrong.path}</bdi> <bdi>{wrong.message}</bdi>
            {record.errors!.length > 1 && ` and ${record.errors!.length - 1} more`}
          </p>
        )}
        {wrong === undefined && record.detail && (
          <p class="small reason">
            <bdi>{record.detail}</bdi>
          </p>
        )}
      </td>
      <td class="what">
        {model === undefined ? (
          <span class="muted">
            {method} <bdi>{url}</bdi>
          </span>
        ) : (
          <>
            <bdi>{model}</bdi> <bdi class="muted">{version}</bdi>
          </>
        )}
        {client !== undefined && (
          <p class="small muted">
            <span class="hidden">of </span>
            <bdi>{client}</bdi>
          </p>
        )}
      </td>
      <td class="number">{rows === undefined ? '–' : compact(rows)}</td>
    </tr>
  )
}
