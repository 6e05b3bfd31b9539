import { useState } from 'preact/hooks'
import type { LiveEvent } from '../../api/live.ts'
import { time } from '../../parts/format.ts'
import { Empty } from '../../parts/states.tsx'

const tones = { info: '', warning: 'warning', error: 'bad' }
const words = { info: 'note', warning: 'warning', error: 'problem' }

/** Events shown without asking. */
const shown = 12

/** What happened in the last hour, newest first. */
export function Events({ events }: { events: LiveEvent[] }) {
  const [isWhole, setWhole] = useState(false)
  const newest = (isWhole ? [...events] : events.slice(-shown)).reverse()
  return (
    <section class="card" aria-labelledby="live-events">
      <h2 id="live-events">What happened</h2>
      {newest.length > 0 && <p class="small muted">A dashed line in the charts stands for each.</p>}
      {newest.length === 0 ? (
        <Empty title="Nothing to report">
          Versions that come and go, processes and workers that die, full disks, requests refused under load and clocks
          that jump appear here.
        </Empty>
      ) : (
        <ol class="events">
          {newest.map(({ id, at, until, severity, text }) => (
            <li key={id}>
              <span class="when mono">
                {time(at)}
                {until - at > 1500 && ` – ${time(until)}`}
              </span>
              <span class={`pill ${tones[severity]}`}>{words[severity]}</span>
              <bdi>{text}</bdi>
            </li>
          ))}
        </ol>
      )}
      {events.length > shown && (
        <button type="button" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? 'Show fewer' : `Show all ${events.length}`}
        </button>
      )}
    </section>
  )
}
