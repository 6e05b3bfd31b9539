import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { ask, client, type Schemas } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { closeAddress, openAddress, type Route, replaceAddress } from '../../base/router.ts'
import { Choice, Select } from '../../parts/controls.tsx'
import { Empty, ForAdministrators, Loading } from '../../parts/states.tsx'
import { Detail } from './detail.tsx'
import { type Filter, filterOf, type ListName, listNames, matching, queryOf, readers, valuesOf } from './stages.ts'
import { RequestTable } from './table.tsx'

type Recorded = Schemas['RecordedRequests']

/** Seconds between two looks. */
const everySeconds = 2

/** Recorded requests: the slow, the failed and the last ones, and where the time of each went. */
export function RequestsPage({ route }: { route: Route }) {
  const [filter, setFilter] = useState(() => filterOf(route.query))
  /** The filter to show after a step back that closes a request: the browser takes that step later. */
  const afterBack = useRef<Filter | undefined>(undefined)
  useEffect(() => {
    const next = afterBack.current
    afterBack.current = undefined
    if (next === undefined) return setFilter(filterOf(route.query))
    replaceAddress('requests', [], queryOf({ ...next, id: '' }))
    if (next.id !== '') openAddress('requests', [], queryOf(next))
  }, [route])
  /** The requests that are shown while the reader has paused. */
  const [held, setHeld] = useState<Recorded>()
  const isPaused = held !== undefined
  const asked = useAsk(() => ask(client.GET('/debug/requests')), [isPaused], isPaused ? {} : { everySeconds })
  const data = held ?? asked.data

  function change(changed: Partial<Filter>): void {
    const next = { ...filter, ...changed }
    setFilter(next)
    if (afterBack.current !== undefined) afterBack.current = next
    else if (filter.id === '' && next.id !== '') openAddress('requests', [], queryOf(next))
    else if (filter.id !== '' && next.id === '' && closeAddress()) afterBack.current = next
    else replaceAddress('requests', [], queryOf(next))
  }

  const isClosed = data === undefined || (asked.error?.status ?? 0) >= 400
  const isRecording = data !== undefined && data.recorded.failed > 0
  return (
    <div class="page">
      <div class="heading">
        <h1>Requests</h1>
        {asked.error?.status === 0 && data !== undefined && (
          <span class="pill bad" role="status">
            no answer; trying again
          </span>
        )}
        {!isClosed && isRecording && (
          <button type="button" aria-pressed={isPaused} onClick={() => setHeld(isPaused ? undefined : data)}>
            {isPaused ? 'Resume' : 'Pause'}
          </button>
        )}
      </div>
      {isClosed ? (
        asked.error !== undefined ? (
          <ForAdministrators {...asked} error={asked.error} why="Requests say what clients ask for" />
        ) : (
          <Loading what="requests" />
        )
      ) : isRecording ? (
        <Lists data={data} filter={filter} onChange={change} />
      ) : (
        <NotRecorded />
      )}
    </div>
  )
}

const titles: Record<ListName, { title: string; about: string; setting: string }> = {
  slow: {
    title: 'Slowest requests',
    about: 'Of this minute and the last, slowest first. Choose one to see where its time went.',
    setting: 'MULTIGATE_SLOW_REQUESTS=20',
  },
  failed: {
    title: 'Failed requests',
    about: 'The last ones of each kind of failure, newest first. Choose one to see why.',
    setting: 'MULTIGATE_SLOW_REQUESTS=20',
  },
  recent: {
    title: 'Last requests',
    about: 'Newest first, whether they were slow or failed or neither.',
    setting: 'MULTIGATE_RECENT_REQUESTS=100',
  },
}

interface ListsProps {
  data: Recorded
  filter: Filter
  onChange(changed: Partial<Filter>): void
}

function Lists({ data, filter, onChange }: ListsProps) {
  const place = useRef<HTMLDivElement>(null)
  const { recorded } = data
  const list = filter.list ?? (recorded.slow > 0 ? 'slow' : 'recent')
  const { title, about, setting } = titles[list]
  const records = matching(data[list], filter)
  const { id } = filter

  const shown = useRef('')
  useLayoutEffect(() => {
    const closed = shown.current
    shown.current = id
    // The focus was in what has closed: it goes back to where the reader opened it.
    if (id !== '' || closed === '' || document.activeElement !== document.body) return
    const buttons = place.current?.querySelectorAll<HTMLButtonElement>('button[data-id]') ?? []
    const button = [...buttons].find((one) => one.dataset.id === closed)
    // It may have left the list.
    const heading = place.current?.querySelector<HTMLElement>('#requests-title')
    const next = button ?? heading
    next?.focus()
  }, [id])

  return (
    <>
      <Filters data={data} list={list} filter={filter} onChange={onChange} />
      <div class={id === '' ? 'requests-page' : 'requests-page with-detail'} ref={place}>
        {id !== '' && (
          <Detail
            key={id}
            id={id}
            listed={[...data.slow, ...data.failed, ...data.recent].find(({ request_id }) => request_id === id)}
            others={
              recorded.recent > 0 ? { kind: 'recent', records: data.recent } : { kind: 'slow', records: data.slow }
            }
            areBodiesKept={recorded.bodies}
            onClose={() => onChange({ id: '' })}
          />
        )}
        {recorded[list] === 0 ? (
          <div class="card">
            <Empty title="This list is not recorded">
              <p>
                Start the server with <code>{setting}</code>.
              </p>
            </Empty>
          </div>
        ) : records.length === 0 ? (
          <div class="card">
            <Empty title={data[list].length === 0 ? 'No such requests yet' : 'No request fits these filters'}>
              {data[list].length === 0 && <p>They appear here as they come.</p>}
              <Elsewhere data={data} filter={filter} onChange={onChange} />
            </Empty>
          </div>
        ) : (
          <RequestTable title={title} about={about} records={records} chosen={id} onChoose={(id) => onChange({ id })} />
        )}
      </div>
    </>
  )
}

/** Other lists that have what the filters want. */
function Elsewhere({ data, filter, onChange }: ListsProps) {
  const counts = listNames.map((name) => [name, matching(data[name], filter).length] as const)
  return (
    <>
      {counts.map(
        ([name, count]) =>
          count > 0 && (
            <button key={name} type="button" onClick={() => onChange({ list: name })}>
              {titles[name].title}: {count}
            </button>
          ),
      )}
    </>
  )
}

const capitalised = (name: string) => `${name.charAt(0).toUpperCase()}${name.slice(1)}`

function Filters({ data, list, filter, onChange }: ListsProps & { list: ListName }) {
  return (
    <div class="request-filters">
      <Choice<ListName>
        label="List"
        value={list}
        options={listNames.map((name) => [name, capitalised(name)])}
        onChange={(chosen) => onChange({ list: chosen, id: '' })}
      />
      {(['model', 'client', 'status'] as const).map((name) => (
        <Select
          key={name}
          class="inline"
          label={capitalised(name)}
          value={filter[name]}
          options={[['', 'All'], ...valuesOf(data[list], readers[name], filter[name])]}
          onChange={(chosen) => onChange({ [name]: chosen })}
        />
      ))}
    </div>
  )
}

/** Requests are recorded nowhere: how to change that. */
function NotRecorded() {
  return (
    <div class="card state">
      <strong>No requests are recorded</strong>
      <p>
        The server can keep its slowest, failed and last requests in memory, and say where the time of each went. It
        costs little, but is not free, so it is off until you start the server with
      </p>
      <pre>MULTIGATE_SLOW_REQUESTS=20{'\n'}MULTIGATE_RECENT_REQUESTS=100</pre>
      <p>
        Values are not kept. <code>MULTIGATE_SLOW_BODIES=true</code> adds the bodies, without the fields that a manifest
        marks, so that a request can be opened in the playground.
      </p>
    </div>
  )
}
