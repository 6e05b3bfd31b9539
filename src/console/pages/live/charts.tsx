import type { LiveEvent, Sample } from '../../api/live-figures.ts'
import { Chart, type Mark, type Series } from '../../parts/chart.tsx'
import { bytes, compact, milliseconds, number, percent } from '../../parts/format.ts'
import { outcomeName, shedName } from './traffic-findings.ts'

const tones = { warning: 'warning', error: 'bad' } as const

interface ChartsProps {
  samples: Sample[]
  events: LiveEvent[]
}

/** The charts that the reader looks for first. */
export function MainCharts({ samples, events }: ChartsProps) {
  const { line, ...moments } = linesOf(samples, events)
  return (
    <section class="cards" aria-labelledby="live-main">
      <h2 id="live-main" class="hidden">
        Requests over time
      </h2>
      <Chart
        title="Requests per second"
        {...moments}
        format={compact}
        series={[line('all', ({ requests }) => requests), line('in time', ({ ok }) => ok)]}
        about="Requests that are not in time were refused, failed or left by their clients."
      />
      <Chart
        title="Latency"
        {...moments}
        format={milliseconds}
        series={(['p50', 'p95', 'p99'] as const).map((name) =>
          line(name, ({ stages }) => stages.total?.[name] ?? null),
        )}
        about="From the arrival of a request to its response, of those that were answered; times above 2,500 ms are not distinguished."
      />
      <Chart
        title="Stages, p99"
        {...moments}
        format={milliseconds}
        series={stagesAt('p99', line)}
        about="Where the time of answered requests goes once they are read: making tensors of their values, waiting for a worker, the engine’s call. Requests shows how long they took to come and to be read."
      />
    </section>
  )
}

/** Everything else over time. */
export function OtherCharts({ samples, events }: ChartsProps) {
  const lines = linesOf(samples, events)
  return (
    <section class="cards" aria-labelledby="live-others">
      <h2 id="live-others" class="hidden">
        More over time
      </h2>
      <TrafficCharts samples={samples} {...lines} />
      <ResourceCharts {...lines} />
    </section>
  )
}

function linesOf(samples: Sample[], events: LiveEvent[]): Lines {
  const unbroken = withGaps(samples)
  return {
    at: unbroken.map(({ at }) => at),
    // Notes would bury them.
    marks: events.flatMap(({ at, text, severity }) => (severity === 'info' ? [] : { at, text, tone: tones[severity] })),
    line: (label, read) => ({
      label,
      values: unbroken.map(({ sample }) => (sample === undefined ? null : read(sample))),
    }),
  }
}

function stagesAt(quantile: 'p50' | 'p99', line: Lines['line']): Series[] {
  return [
    line('encode', ({ stages }) => stages.encode?.[quantile] ?? null),
    line('queue', ({ stages }) => stages.queue?.[quantile] ?? null),
    line('compute', ({ stages }) => stages.infer?.[quantile] ?? null),
  ]
}

interface Lines {
  at: number[]
  marks: Mark[]
  line(label: string, read: (sample: Sample) => number | null): Series
}

/** Answers, and where the time of the others went. */
function TrafficCharts({ samples, line, ...moments }: Lines & { samples: Sample[] }) {
  const byName = (title: (name: string) => string, read: (sample: Sample) => Record<string, number>): Series[] => {
    const names = namesOf(samples, read)
    if (names.length === 0) return [line('none', () => 0)]
    return names.map((name) => ({ ...line(title(name), (sample) => read(sample)[name] ?? 0), colour: placeOf(name) }))
  }
  return (
    <>
      <Chart
        title="Stages, p50"
        {...moments}
        format={milliseconds}
        series={stagesAt('p50', line)}
        about="The same for the request in the middle."
      />
      <Chart
        title="Shed per second"
        {...moments}
        format={compact}
        series={byName(shedName, ({ shed }) => shed)}
        about="Refused or dropped under load, by reason."
      />
      <Chart
        title="Failed per second"
        {...moments}
        format={compact}
        series={byName(outcomeName, ({ failed }) => failed)}
        about="Not answered as asked, by code. Shed requests are among them, as “queue full” or “deadline exceeded”."
      />
      <Chart
        title="Wait against deadline"
        {...moments}
        format={milliseconds}
        series={[line('predicted wait', ({ wait_ms }) => wait_ms), line('deadline', ({ deadline_ms }) => deadline_ms)]}
        about="A request whose wait would exceed half of its deadline is refused."
      />
    </>
  )
}

/** Charts of what the machine does for it. */
function ResourceCharts({ line, ...moments }: Lines) {
  return (
    <>
      <Chart
        title="Busy"
        {...moments}
        format={(value) => percent(value, 2)}
        atLeast={1}
        series={[
          line('event loop', ({ loop_busy }) => loop_busy),
          line('workers', ({ workers_busy }) => workers_busy),
          line('saturation', ({ saturation }) => saturation),
        ]}
        about="The event loop reads and writes requests, workers compute them. At a saturation of 100 % requests are refused."
      />
      <Chart
        title="Batches"
        {...moments}
        format={(value) => number(value)}
        series={[
          line('rows per call', ({ batches }) => batches.rows),
          line('requests per call', ({ batches }) => batches.requests),
        ]}
        about="How many candidates, and requests, share an engine call."
      />
      <Chart
        title="Candidates per second"
        {...moments}
        format={compact}
        series={[
          line('all', ({ candidates }) => candidates),
          line('cache hits', ({ cache }) => cache.hits),
          line('cache misses', ({ cache }) => cache.misses),
        ]}
        about="Parts of a candidate that are cached are not computed again. Hits and misses are means of five seconds."
      />
      <Chart
        title="Queue"
        {...moments}
        format={compact}
        series={[line('rows waiting', ({ queue_rows }) => queue_rows)]}
        about="Rows that wait for an engine call."
      />
      <Chart
        title="Memory"
        {...moments}
        format={bytes}
        series={[
          line('processes', ({ resident_bytes }) => resident_bytes),
          line('candidate cache', ({ cache }) => cache.bytes),
        ]}
        about="Resident memory of all processes; the cache is part of it."
      />
      <Chart
        title="CPU"
        {...moments}
        format={(value) => number(value)}
        series={[line('cores', ({ cores }) => cores)]}
        about="Cores that all processes use."
      />
      <Chart
        title="Connections"
        {...moments}
        format={compact}
        series={[line('open', ({ connections }) => connections)]}
        about="Connections of clients that are open."
      />
    </>
  )
}

/** Samples with a moment without values where some are missing: a line across would say what nobody measured. */
function withGaps(samples: Sample[]): { at: number; sample?: Sample }[] {
  return samples.flatMap((sample, i) => {
    const before = samples[i - 1]
    // A sample by the second may follow one by ten.
    const isGap = before !== undefined && sample.at - before.at > 2500 * Math.max(sample.seconds, before.seconds)
    return isGap ? [{ at: before.at + 1 }, { at: sample.at, sample }] : [{ at: sample.at, sample }]
  })
}

const places = new Map<string, number>()

/** A name keeps its colour, whichever others come and go. */
function placeOf(name: string): number {
  if (!places.has(name)) places.set(name, places.size)
  return places.get(name)!
}

/** Names that occur, the most frequent first: at most as many as a chart has colours for. */
function namesOf(samples: Sample[], read: (sample: Sample) => Record<string, number>): string[] {
  const sums = new Map<string, number>()
  for (const sample of samples)
    for (const [name, rate] of Object.entries(read(sample))) sums.set(name, (sums.get(name) ?? 0) + rate)
  return [...sums]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 3)
    .map(([name]) => name)
}
