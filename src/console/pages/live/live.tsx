import { useEffect, useState } from 'preact/hooks'
import { averagesOf } from '../../api/averages.ts'
import { AskError, missingScope } from '../../api/client.ts'
import { type Live, lastMinutes, live, watchLive } from '../../api/live-figures.ts'
import { Choice, Stats } from '../../parts/controls.tsx'
import { bytes, compact, milliseconds, orDash, percent, short, time } from '../../parts/format.ts'
import { KeyButton, Pending } from '../../parts/states.tsx'
import { MainCharts, OtherCharts } from './charts.tsx'
import { Events, Findings } from './findings.tsx'
import { ClientTable, ModelTable, ProcessTable } from './tables.tsx'

type Range = 'fine' | 'coarse'

/** The page of what the service does now, and did in the last hour. */
export function LivePage() {
  useEffect(watchLive, [])
  const [range, setRange] = useState<Range>('fine')
  const { value } = live
  if (value.state === 'refused') return <Refused reason={value.reason ?? ''} />
  const newest = value.fine.at(-1) ?? value.coarse.at(-1)
  if (newest === undefined)
    return <Pending what="live figures" error={value.state === 'lost' ? new AskError(value.reason ?? '') : undefined} />
  const { requests, candidates, goodput, total, saturation, cores } = averagesOf(
    value.fine.length > 0 ? value.fine : value.coarse,
  )
  const samples = range === 'coarse' ? value.coarse : lastMinutes(value)
  return (
    <div class="page">
      <div class="heading">
        <h1>Live</h1>
        <State live={value} />
        <Choice<Range>
          label="Time shown"
          value={range}
          options={[
            ['fine', '5 minutes'],
            ['coarse', '1 hour'],
          ]}
          onChange={(chosen) => setRange(chosen)}
        />
      </div>
      <Findings live={value} />
      <Stats
        figures={[
          ['Requests', compact(requests), '/s'],
          ['Candidates', compact(candidates), '/s'],
          ['Goodput', orDash(goodput, percent), 'in time'],
          ['p50', orDash(total?.p50, milliseconds)],
          ['p99', orDash(total?.p99, milliseconds), 'at worst'],
          ['Saturation', percent(saturation, 2)],
          ['CPU', short(cores), 'cores'],
          ['Memory', bytes(newest.resident_bytes)],
        ]}
      />
      <p class="small muted">
        {value.state === 'open' ? 'Of the last ten seconds' : `Of the ten seconds before ${time(newest.at)}`}; p99 is
        that of the worst second. Memory is that of now.
      </p>
      <MainCharts samples={samples} events={value.events} />
      <Events events={value.events} />
      <ModelTable models={value.models} />
      <ClientTable clients={value.clients} />
      <ProcessTable processes={value.processes} silent={value.silent} />
      <OtherCharts samples={samples} events={value.events} />
    </div>
  )
}

function State({ live: { state } }: { live: Live }) {
  if (state === 'open') return <span class="pill good">live</span>
  if (state === 'connecting') return <span class="pill">connecting …</span>
  return (
    <span class="pill bad" role="status">
      no figures now; trying again
    </span>
  )
}

function Refused({ reason }: { reason: string }) {
  return (
    <div class="page">
      <h1>Live</h1>
      <div class="state failed">
        <strong>These figures need a key</strong>
        <p>{reason}</p>
        <KeyButton scope={missingScope(reason)} />
      </div>
    </div>
  )
}
