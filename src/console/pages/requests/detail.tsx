import { useEffect, useRef } from 'preact/hooks'
import { ask, client } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { hrefOf } from '../../base/router.ts'
import { Pairs, Scroll } from '../../parts/controls.tsx'
import { date, milliseconds, number } from '../../parts/format.ts'
import { jsonText } from '../../parts/json-text.ts'
import { Empty, Pending } from '../../parts/states.tsx'
import { valuesOfBody } from './body-values.ts'
import { explain, type Others } from './explain.ts'
import { playgroundOf, whyMissing } from './playground-link.ts'
import type { RequestRecord } from './stages.ts'
import { LargeWaterfall, Status } from './table.tsx'
import { ShownValues } from './values.tsx'

/** Characters of a body that are shown. */
const mostShown = 20_000

interface DetailProps {
  id: string
  /** As the list has it; undefined where it left the list. */
  listed: RequestRecord | undefined
  others: Others
  areBodiesKept: boolean
  onClose(): void
}

/** One request: where its time went, what it asked and how it was answered. */
export function Detail({ id, listed, others, areBodiesKept, onClose }: DetailProps) {
  const asked = useAsk(
    () => ask(client.GET('/debug/requests/{request_id}', { params: { path: { request_id: id } } })),
    [id],
  )
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    // Where the address named it, nothing had the focus: it stays there.
    if (document.activeElement !== document.body) heading.current?.focus()
  }, [])
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape') onClose()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [onClose])
  const record = asked.data ?? listed
  return (
    <section class="card detail" aria-labelledby="request-title">
      <header>
        <h2 id="request-title" ref={heading} tabIndex={-1}>
          {record === undefined ? 'Request' : <RequestLine record={record} />}
        </h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </header>
      {record === undefined ? (
        asked.error?.status === 404 ? (
          <Empty title="No longer recorded">
            <p>Newer or slower requests have taken the place of this one, or the server has been restarted.</p>
          </Empty>
        ) : (
          <Pending what="request" error={asked.error} />
        )
      ) : (
        <>
          <p>{explain(record, others)}</p>
          <LargeWaterfall record={record} />
          <Facts record={record} />
          {asked.data !== undefined && <Body record={asked.data} areBodiesKept={areBodiesKept} />}
          {asked.data === undefined && asked.error !== undefined && (
            <p class="small muted">Its body can’t be read: {asked.error.message}.</p>
          )}
        </>
      )}
    </section>
  )
}

function RequestLine({ record: { method, url, total_ms } }: { record: RequestRecord }) {
  return (
    <>
      {method} <bdi class="path">{url}</bdi> · {milliseconds(total_ms)}
    </>
  )
}

function Facts({ record }: { record: RequestRecord }) {
  const { ended, client, model, version, rows, tasks, request_id, trace_id, detail, errors } = record
  const status = (
    <>
      <Status record={record} />
      {detail && <bdi> {detail}</bdi>}
    </>
  )
  const problems = errors?.map(({ path, message }) => (
    <bdi key={path + message} class="block">
      <span class="mono">{path}</span> {message}
    </bdi>
  ))
  const subject = model && (
    <a href={hrefOf('models', version === undefined ? [model] : [model, version])}>
      <bdi>{model}</bdi>, version <bdi>{version}</bdi>
    </a>
  )
  return (
    <Pairs
      rows={[
        ['Status', status],
        ['Problems', problems],
        ['Ended', ended && date(ended)],
        ['Client', client],
        ['Model', subject],
        ['Rows', rows === undefined ? undefined : number(rows)],
        ['Tasks', tasks?.map((task, i) => [i > 0 && ', ', <bdi key={task}>{task}</bdi>])],
        ['Request id', request_id && <bdi class="mono">{request_id}</bdi>],
        ['Trace id', trace_id && <bdi class="mono">{trace_id}</bdi>],
      ]}
    />
  )
}

function Body({ record, areBodiesKept }: { record: RequestRecord; areBodiesKept: boolean }) {
  const playground = playgroundOf(record, areBodiesKept)
  const missing = whyMissing(record, areBodiesKept)
  const text = missing === undefined ? jsonText(record.body) : ''
  const values = valuesOfBody(record)
  return (
    <section class="body" aria-labelledby="request-body">
      <h3 id="request-body">Body</h3>
      {'href' in playground ? (
        <a href={playground.href}>Open in the playground</a>
      ) : (
        <p class="small muted">
          {missing === undefined && 'It can’t be opened in the playground. '}
          {playground.why}
        </p>
      )}
      {values !== undefined && <ShownValues record={record} values={values} canAsk={'href' in playground} />}
      {missing === undefined && (
        <details>
          <summary>Show the body</summary>
          <Scroll label="Text of the body">
            <pre dir="auto">{text.slice(0, mostShown)}</pre>
          </Scroll>
          {text.length > mostShown && (
            <p class="small muted">
              The first {number(mostShown)} of {number(text.length)} characters.
            </p>
          )}
        </details>
      )}
    </section>
  )
}
