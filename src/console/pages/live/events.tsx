import { useState } from 'preact/hooks'
import type { LiveEvent } from '../../api/live.ts'
import { hrefOf } from '../../base/router.ts'
import { Choice } from '../../parts/choice.tsx'
import { number, time } from '../../parts/format.ts'
import { Empty } from '../../parts/states.tsx'

const tones = { info: '', warning: 'warning', error: 'bad' }
const words = { info: 'note', warning: 'warning', error: 'problem' }

type Shown = 'all' | 'problems'

/** An event that was seen within this time, ms, goes on: readings are ten seconds apart while nobody looks. */
const goesOn = 12_000

/** Events shown without asking. */
const shown = 12

/** What happened in the last hour, newest first. */
export function Events({ events }: { events: LiveEvent[] }) {
  const [isWhole, setWhole] = useState(false)
  const [kind, setKind] = useState<Shown>('all')
  const chosen = kind === 'all' ? events : events.filter(({ severity }) => severity !== 'info')
  const newest = (isWhole ? [...chosen] : chosen.slice(-shown)).reverse()
  return (
    <section class="card" aria-labelledby="live-events">
      <header>
        <h2 id="live-events">What happened</h2>
        {events.length > shown && (
          <Choice<Shown>
            label="Events shown"
            value={kind}
            options={[
              ['all', 'All'],
              ['problems', 'Problems'],
            ]}
            onChange={setKind}
          />
        )}
      </header>
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
              <span class="when mono">
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
    </section>
  )
}
