import { useState } from 'preact/hooks'
import type { Live, LiveEvent } from '../../api/live-figures.ts'
import { hrefOf } from '../../base/router.ts'
import { Card, Choice } from '../../parts/controls.tsx'
import { duration, number, time } from '../../parts/format.ts'
import { Empty } from '../../parts/states.tsx'
import { createTrafficFindings, type Finding } from './traffic-findings.ts'

/** Findings that deserve attention, most urgent first: what each is, and where to look. */
export function Findings({ live }: { live: Live }) {
  const [trafficFindings] = useState(createTrafficFindings)
  const findings = [...conditionsOf(live), ...trafficFindings(live, Date.now())]
  if (findings.length === 0) return null
  return (
    <div class="findings" role="status">
      {findings.map(({ tone, title, text, endedMs, list }, i) => (
        <div key={i} class={`notice ${tone}`}>
          <strong>{title}</strong> {text}
          {list !== undefined && <a href={hrefOf('requests', [], { list })}>Single ones are in Requests.</a>}
          {endedMs !== undefined && <span class="muted"> Ended {duration(endedMs / 1000)} ago.</span>}
        </div>
      ))}
    </div>
  )
}

function conditionsOf({
  state,
  reason: noStream,
  silent,
  unstored,
  failed,
  unreadable,
  unready,
  clockAhead,
  events,
  fine,
}: Live): Finding[] {
  const found: Finding[] = []
  const traffic = events.findLast(({ kind }) => kind === 'requests_stopped' || kind === 'requests_arrive')
  if (traffic?.kind === 'requests_stopped' && state === 'open' && (fine.at(-1)?.requests ?? 0) === 0)
    found.push({
      tone: 'bad',
      title: `${traffic.text}.`,
      text: 'The clients stopped, or the load balancer in front of the service sends them elsewhere: connections and processes are below.',
    })
  if (state === 'lost')
    found.push({
      tone: 'bad',
      title: 'The server sends no figures now.',
      text: `${noStream}. These are from before; the page goes on trying.`,
    })
  for (const { text } of unservedIn(events))
    found.push({
      tone: 'bad',
      title: `${text}.`,
      text: 'Its requests get an error. Put a version of it into the models folder, or see Models for why one does not load.',
    })
  if (unready.length > 0) found.push({ tone: 'bad', title: 'The service is not ready.', text: sentence(unready) })
  if (silent.length > 0)
    found.push({
      tone: 'bad',
      title: `${silent.length === 1 ? 'A process does' : `${silent.length} processes do`} not answer.`,
      text: `Process ${silent.join(', ')} is stopped, or very busy; its figures are missing here.`,
    })
  if (unreadable !== undefined)
    found.push({
      tone: 'bad',
      title: 'The models folder can’t be read.',
      text: `${unreadable}. Loaded models go on serving; new versions are not found, and a process that starts has none.`,
    })
  if (failed.length > 0)
    found.push({
      tone: 'warning',
      title: `${failed.length === 1 ? 'A version' : `${failed.length} versions`} failed to load.`,
      text: `${sentence(failed.map(reasonOf))} The version before answers on, where there is one.`,
    })
  if (unstored.length > 0)
    found.push({
      tone: 'warning',
      title: 'Compiled plans can’t be stored.',
      text: sentence(unstored.map(reasonOf)),
    })
  if (Math.abs(clockAhead) > 30_000)
    found.push({
      tone: 'warning',
      title: `The server’s clock is ${duration(Math.abs(clockAhead) / 1000)} ${clockAhead > 0 ? 'ahead of' : 'behind'} yours.`,
      text: 'One of the two is wrong. Times on these pages are by your clock; those in logs are by the server’s.',
    })
  return found
}

/** Models that answered until recently: older ones were removed on purpose. */
function unservedIn(events: Live['events']): Live['events'] {
  const last = new Map(
    events
      .filter(({ kind }) => kind === 'model_unserved' || kind === 'version_serves')
      .map((event) => [event.model, event] as const),
  )
  return [...last.values()].filter(({ kind, at }) => kind === 'model_unserved' && Date.now() - at < recently)
}

const recently = 15 * 60_000

/** Most reasons begin with the file. */
const reasonOf = ({ model, version, reason }: Live['failed'][number]) =>
  reason.startsWith(`${model}/${version}/`) ? reason : `${model}/${version}: ${reason}`

const sentence = (parts: string[]) => `${parts.slice(0, 3).join('; ')}.`

const tones = { info: '', warning: 'warning', error: 'bad' }
const words = { info: 'note', warning: 'warning', error: 'problem' }

const shownNames = [
  ['all', 'All'],
  ['problems', 'Problems'],
] as const

/** An event that was seen within this time, ms, goes on: readings are ten seconds apart while nobody looks. */
const goesOn = 12_000

/** Events shown without asking. */
const shown = 12

/** Events of the last hour, newest first. */
export function Events({ events }: { events: LiveEvent[] }) {
  const [isWhole, setWhole] = useState(false)
  const [kind, setKind] = useState<'all' | 'problems'>('all')
  const chosen = kind === 'all' ? events : events.filter(({ severity }) => severity !== 'info')
  const newest = (isWhole ? [...chosen] : chosen.slice(-shown)).reverse()
  return (
    <Card
      id="live-events"
      title="What happened"
      beside={
        events.length > shown && (
          <Choice<'all' | 'problems'> label="Events shown" value={kind} options={shownNames} onChange={setKind} />
        )
      }
    >
      {newest.length > 0 && <p class="small muted">A dashed line in the charts stands for each warning and problem.</p>}
      {newest.length === 0 ? (
        <Empty title="Nothing to report">
          Versions that come and go, processes and workers that die, full disks, requests refused under load and clocks
          that jump appear here.
        </Empty>
      ) : (
        <ol class="events">
          {newest.map(({ id, at, until, severity, text, model, times }) => (
            <li key={id}>
              <span class="mono muted">
                {time(at)}
                {until - at > 1500 && ` – ${Date.now() - until < goesOn ? 'now' : time(until)}`}
              </span>
              <span class={`pill ${tones[severity]}`}>{words[severity]}</span>
              <bdi>{text}</bdi>
              {times !== undefined && ` (${number(times)} times)`}
              {model !== undefined && severity !== 'info' && <a href={hrefOf('models', [model])}>Open the model</a>}
            </li>
          ))}
        </ol>
      )}
      {chosen.length > shown && (
        <button type="button" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? 'Show fewer' : `Show all ${chosen.length}`}
        </button>
      )}
    </Card>
  )
}
