import { milliseconds, percent } from '../../parts/format.ts'
import { type RequestRecord, sharesOf, timesOf } from './stages.ts'

/** The stages of a request on one line, beside others on the same scale. */
export function Waterfall({ record, longest }: { record: RequestRecord; longest: number }) {
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
