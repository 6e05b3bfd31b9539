import { useState } from 'preact/hooks'
import type { Live } from '../../api/live.ts'
import { hrefOf } from '../../base/router.ts'
import { duration } from '../../parts/format.ts'
import { createTrafficFindings, type Finding } from './traffic-findings.ts'

/** What deserves attention, most urgent first: what it is, and where to look. */
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
      text: `${failed
        .slice(0, 3)
        // Most reasons begin with the file.
        .map(({ model, version, reason }) =>
          reason.startsWith(`${model}/${version}/`) ? reason : `${model}/${version}: ${reason}`,
        )
        .join('; ')}. The version before answers on, where there is one.`,
    })
  if (unstored.length > 0)
    found.push({
      tone: 'warning',
      title: 'Compiled plans can’t be stored.',
      text: `${unstored
        .slice(0, 3)
        .map(({ model, version, reason }) => `${model}/${version}: ${reason}`)
        .join('; ')}.`,
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

const sentence = (parts: string[]) => `${parts.slice(0, 3).join('; ')}.`
