import { useState } from 'preact/hooks'
import { Card } from '../../parts/controls.tsx'
import { compact, milliseconds, number, percent, time } from '../../parts/format.ts'
import { Table } from '../../parts/table.tsx'
import { type RequestRecord, sharesOf, timesOf } from './stages.ts'

/** Rows that are shown, and added at a time. */
const step = 50

interface RequestTableProps {
  title: string
  about: string
  records: readonly RequestRecord[]
  chosen: string
  onChoose(id: string): void
}

export function RequestTable({ title, about, records, chosen, onChoose }: RequestTableProps) {
  const [most, setMost] = useState(step)
  const shown = records.slice(0, most)
  const longest = shown.reduce((ms, { total_ms }) => Math.max(ms, total_ms), 0)
  return (
    <Card id="requests-title" class="list" title={title} focusable beside={<Shares records={records} />}>
      <p class="small muted">{about}</p>
      <Table
        class="requests"
        label="Table of requests"
        rows={shown}
        rowKey={({ request_id, ended }, i) => `${request_id} ${ended} ${i}`}
        attributes={({ request_id: id = '' }) => ({
          class: id === chosen ? 'chosen' : undefined,
          // By keyboard, the time is a button. Who marks a text does not mean the row.
          onClick: () => {
            if (getSelection()?.isCollapsed !== false) onChoose(id)
          },
        })}
        columns={[
          {
            title: 'Ended',
            cell: ({ request_id: id = '', ended }) => (
              <button type="button" class="choose" data-id={id} aria-pressed={id === chosen}>
                {ended === undefined ? '–' : time(Date.parse(ended))}
              </button>
            ),
          },
          { title: 'Total', value: ({ total_ms }) => total_ms, format: milliseconds },
          {
            title: 'Stages',
            class: 'stages-cell',
            cell: (record) => <Waterfall record={record} longest={longest} />,
          },
          { title: 'Status', cell: (record) => <StatusAndReason record={record} /> },
          { title: 'Model and client', class: 'what', cell: (record) => <Subject record={record} /> },
          { title: 'Rows', value: ({ rows }) => rows, format: compact },
        ]}
      />
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
    </Card>
  )
}

function StatusAndReason({ record }: { record: RequestRecord }) {
  const { detail, errors: [wrong, ...more] = [] } = record
  return (
    <>
      <Status record={record} />
      {wrong !== undefined ? (
        <p class="small reason">
          <bdi class="mono">{wrong.path}</bdi> <bdi>{wrong.message}</bdi>
          {more.length > 0 && ` and ${more.length} more`}
        </p>
      ) : (
        detail && (
          <p class="small reason">
            <bdi>{detail}</bdi>
          </p>
        )
      )}
    </>
  )
}

function Subject({ record: { model, version, method, url, client } }: { record: RequestRecord }) {
  return (
    <>
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
    </>
  )
}

/** A status with the code of its problem. */
export function Status({ record: { status, code } }: { record: RequestRecord }) {
  const tone = status >= 500 ? 'bad' : status >= 400 ? 'warning' : 'good'
  return (
    <span class={`pill ${tone}`}>
      {status} {code ?? (status === 499 ? 'client left' : '')}
    </span>
  )
}

/** The stages of a request on one line, beside others on the same scale. */
function Waterfall({ record, longest }: { record: RequestRecord; longest: number }) {
  const times = timesOf(record)
  const text = times.map(({ stage, ms }) => `${stage.name} ${milliseconds(ms)}`).join(', ')
  return (
    <span class="waterfall" title={text}>
      <span class="hidden">{text}</span>
      {times.map(({ stage, start, ms }) => (
        <Segment key={stage.name} start={start} ms={ms} of={longest} colour={stage.colour} />
      ))}
    </span>
  )
}

function Segment({ start, ms, of, colour }: { start: number; ms: number; of: number; colour: string }) {
  const share = (part: number) => (of > 0 ? `${Math.min(100, (100 * part) / of)}%` : '0')
  return (
    <span
      class="segment"
      aria-hidden="true"
      style={{ insetInlineStart: share(start), width: share(ms), background: colour }}
    />
  )
}

/** The stages of one request, each on its own line, with what happens in it. */
export function LargeWaterfall({ record }: { record: RequestRecord }) {
  const { total_ms: total } = record
  return (
    <ol class="stages" aria-label="Stages">
      {timesOf(record).map(({ stage, start, ms }) => (
        <li key={stage.name}>
          <span class="stage-name">{stage.name}</span>
          <span class="stage-time">
            {milliseconds(ms)} <span class="muted">{total > 0 ? percent(ms / total, 2) : ''}</span>
          </span>
          <span class="waterfall">
            <Segment start={start} ms={ms} of={total} colour={stage.colour} />
          </span>
          <span class="small muted">{stage.about}</span>
        </li>
      ))}
    </ol>
  )
}

/** Where the time of all these requests goes; it explains the colours, too. */
export function Shares({ records }: { records: readonly RequestRecord[] }) {
  return (
    <ul class="shares small" aria-label="Where the time of these requests goes">
      {sharesOf(records).map(({ stage, share }) => (
        <li key={stage.name}>
          <span class="swatch" style={{ background: stage.colour }} aria-hidden="true" />
          <span class="muted">{stage.name}</span> <b>{percent(share, 2)}</b>
        </li>
      ))}
    </ul>
  )
}
