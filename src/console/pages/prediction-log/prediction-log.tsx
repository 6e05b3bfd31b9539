import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { askPredictionLog, type Schemas } from '../../api/client.ts'
import { lastMinutes, live, watchLive } from '../../api/live-figures.ts'
import { useAsk } from '../../api/use-ask.ts'
import { Bar, Card, Pairs, Stats } from '../../parts/controls.tsx'
import { bytes, compact, date, duration, number, percent } from '../../parts/format.ts'
import { Charts, type Plan } from '../../parts/sample-charts.tsx'
import { Empty, ForAdministrators, Pending, Stale } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'

type Log = NonNullable<Schemas['PredictionLogStatus']['log']>

/** `#/log`: whether requests are recorded, and where; none of their values. */
export function PredictionLogPage() {
  const asked = useAsk(askPredictionLog, [], { everySeconds: 3 })
  const { data, error } = asked
  const log = data?.log ?? undefined
  return (
    <div class="page models">
      <div class="heading">
        <h1>Prediction log</h1>
        {log !== undefined && <State log={log} />}
        {data !== undefined && error !== undefined && <Stale message={error.message} />}
      </div>
      {data !== undefined ? (
        log === undefined ? (
          <Off />
        ) : (
          <Content log={log} />
        )
      ) : error !== undefined ? (
        <ForAdministrators {...asked} error={error} why="Paths of the server are not for its clients" />
      ) : (
        <Pending what="prediction log" error={error} />
      )}
    </div>
  )
}

function State({ log: { problem } }: { log: Log }) {
  return problem === undefined ? <span class="pill good">on</span> : <span class="pill bad">can’t write</span>
}

function Off() {
  return (
    <div class="card state">
      <strong>Requests are not recorded</strong>
      <p>
        The prediction log records the values that requests send and the probabilities of all their candidates, to
        judge, calibrate and replay versions by. It is off until you start the server with a folder:
      </p>
      <pre>MULTIGATE_PREDICTION_LOG=log</pre>
    </div>
  )
}

const plans: Plan[] = [
  {
    title: 'Records per second',
    format: compact,
    lines: { recorded: ({ prediction_log: log }) => log?.records ?? null },
    about: 'Requests that were written.',
  },
  {
    title: 'Missing per second',
    format: compact,
    rates: ({ prediction_log: log }) => log?.dropped ?? {},
    nameOf: (reason) => reasons[reason] ?? reason,
    about: 'Requests that were to be recorded and were not, by reason. They were answered all the same.',
  },
]

const reasons: Record<string, string> = {
  full: 'buffer full',
  too_large: 'too large',
  disk: 'disk',
  unreadable: 'unreadable',
}

function Content({ log }: { log: Log }) {
  useEffect(watchLive, [])
  const { problem, buffer, disk, records, dropped } = log
  const missing = Object.values(dropped).reduce((sum, count) => sum + count, 0)
  const samples = lastMinutes(live.value)
  const events = live.value.events.filter(({ kind }) => kind.startsWith('prediction_log_'))
  return (
    <>
      {problem !== undefined && (
        <p class="notice bad" role="alert">
          Nothing can be written: <bdi>{problem}</bdi>. Requests are answered, and counted as missing; writing goes on
          by itself once it can.
        </p>
      )}
      <Stats
        figures={[
          ['Recorded', number(records, 12), 'since the start'],
          ['Missing', number(missing, 12)],
          ['Waiting', bytes(buffer.bytes), `of ${bytes(buffer.max_bytes)}`],
          ['On disk', bytes(disk.bytes), `of ${bytes(disk.max_bytes)}`],
        ]}
      />
      {samples.length > 0 && (
        <Charts {...{ samples, events, plans }} id="log-rates" title="Records over the last five minutes" />
      )}
      <Card id="log-settings" title="Settings">
        <Pairs rows={factsOf(log)} />
      </Card>
      <Card id="log-files" title="Newest files">
        <Files log={log} />
      </Card>
    </>
  )
}

function factsOf({ settings, disk, dropped }: Log): [name: string, value: ComponentChildren][] {
  const { folder, format, sample, failed, slow, slow_ms, file_bytes, file_seconds, max_days } = settings
  const missing = Object.entries(dropped).filter(([, count]) => count > 0)
  return [
    ['Folder', folder],
    ['Format', format],
    ['Share of requests', percent(sample)],
    ['Of those that fail', percent(failed)],
    [`Of those that take ${number(slow_ms, 9)} ms or longer`, percent(slow)],
    ['A file ends at', `${bytes(file_bytes)}, or after ${duration(file_seconds)}`],
    ['Finished files are removed', `beyond ${bytes(disk.max_bytes)}, or after ${number(max_days)} days`],
    [
      'Disk used',
      <>
        <Bar share={Math.min(1, disk.bytes / disk.max_bytes)} /> {percent(disk.bytes / disk.max_bytes)}
      </>,
    ],
    [
      'Missing, by reason',
      missing.length === 0
        ? 'none'
        : missing.map(([reason, count]) => `${reasons[reason] ?? reason} ${number(count, 12)}`).join(', '),
    ],
  ]
}

const why = {
  too_many: 'The folder has more files than are looked at: others may be newer.',
  slow: 'The folder did not answer within a second: these are the files that it last named.',
} as const

function Files({ log: { files } }: { log: Log }) {
  return (
    <>
      {files.missing !== undefined && <p class="small muted">{why[files.missing]}</p>}
      {files.newest.length === 0 ? (
        <Empty title="There are no files yet" />
      ) : (
        <Table
          label="Newest files of the log"
          rows={files.newest}
          rowKey={({ model, version, name }) => `${model}/${version}/${name}`}
          columns={[
            { title: 'Model', text: ({ model, version }) => (model === undefined ? 'none' : `${model} ${version}`) },
            { title: 'File', text: ({ name }) => name },
            { title: 'State', cell: ({ open }) => (open ? 'being written' : 'complete') },
            { title: 'Size', value: (file) => file.bytes, format: bytes },
            { title: 'Written', cell: ({ written_at }) => date(written_at) },
          ]}
        />
      )}
    </>
  )
}
