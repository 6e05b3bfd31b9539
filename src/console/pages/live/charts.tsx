import { valueFor } from '../../../base/maps.ts'
import { mostFrequent } from '../../../schemas/outcomes.ts'
import { meanRates } from '../../api/averages.ts'
import type { LiveEvent, Sample } from '../../api/live-figures.ts'
import { Chart, type ChartProps, type Series } from '../../parts/chart.tsx'
import { bytes, compact, milliseconds, number, percent } from '../../parts/format.ts'
import { outcomeName, shedName } from './traffic-findings.ts'

const tones = { warning: 'warning', error: 'bad' } as const

/** The value of a sample that a line shows; null where nothing was measured. */
type Read = (sample: Sample) => number | null

interface Plan extends Pick<ChartProps, 'title' | 'format' | 'about' | 'atLeast'> {
  /** By their labels. */
  lines?: Record<string, Read>
  /** Lines of what occurs, the most frequent ones, with words for their names. */
  rates?(sample: Sample): Record<string, number>
  nameOf?(name: string): string
}

const stagesAt = (quantile: 'p50' | 'p99'): Record<string, Read> => ({
  encode: ({ stages }) => stages.encode?.[quantile] ?? null,
  queue: ({ stages }) => stages.queue?.[quantile] ?? null,
  compute: ({ stages }) => stages.infer?.[quantile] ?? null,
})

const main: Plan[] = [
  {
    title: 'Requests per second',
    format: compact,
    lines: { all: ({ requests }) => requests, 'in time': ({ ok }) => ok },
    about: 'Requests that are not in time were refused, failed or left by their clients.',
  },
  {
    title: 'Latency',
    format: milliseconds,
    lines: {
      p50: ({ stages }) => stages.total?.p50 ?? null,
      p95: ({ stages }) => stages.total?.p95 ?? null,
      p99: ({ stages }) => stages.total?.p99 ?? null,
    },
    about:
      'From the arrival of a request to its response, of those that were answered; times above 2,500 ms are not distinguished.',
  },
  {
    title: 'Stages, p99',
    format: milliseconds,
    lines: stagesAt('p99'),
    about:
      'Where the time of answered requests goes once they are read: making tensors of their values, waiting for a worker, the engine’s call. Requests shows how long they took to come and to be read.',
  },
]

const others: Plan[] = [
  {
    title: 'Stages, p50',
    format: milliseconds,
    lines: stagesAt('p50'),
    about: 'The same for the request in the middle.',
  },
  {
    title: 'Shed per second',
    format: compact,
    rates: ({ shed }) => shed,
    nameOf: shedName,
    about: 'Refused or dropped under load, by reason.',
  },
  {
    title: 'Failed per second',
    format: compact,
    rates: ({ failed }) => failed,
    nameOf: outcomeName,
    about: 'Not answered as asked, by code. Shed requests are among them, as “queue full” or “deadline exceeded”.',
  },
  {
    title: 'Wait against deadline',
    format: milliseconds,
    lines: { 'predicted wait': ({ wait_ms }) => wait_ms, deadline: ({ deadline_ms }) => deadline_ms },
    about: 'A request whose wait would exceed half of its deadline is refused.',
  },
  {
    title: 'Busy',
    format: (value) => percent(value, 2),
    atLeast: 1,
    lines: {
      'event loop': ({ loop_busy }) => loop_busy,
      workers: ({ workers_busy }) => workers_busy,
      saturation: ({ saturation }) => saturation,
    },
    about:
      'The event loop reads and writes requests, workers compute them. At a saturation of 100 % requests are refused.',
  },
  {
    title: 'Batches',
    format: number,
    lines: { 'rows per call': ({ batches }) => batches.rows, 'requests per call': ({ batches }) => batches.requests },
    about: 'How many candidates, and requests, share an engine call.',
  },
  {
    title: 'Candidates per second',
    format: compact,
    lines: {
      all: ({ candidates }) => candidates,
      'cache hits': ({ cache }) => cache.hits,
      'cache misses': ({ cache }) => cache.misses,
    },
    about: 'Parts of a candidate that are cached are not computed again. Hits and misses are means of five seconds.',
  },
  {
    title: 'Queue',
    format: compact,
    lines: { 'rows waiting': ({ queue_rows }) => queue_rows },
    about: 'Rows that wait for an engine call.',
  },
  {
    title: 'Memory',
    format: bytes,
    lines: { processes: ({ resident_bytes }) => resident_bytes, 'candidate cache': ({ cache }) => cache.bytes },
    about: 'Resident memory of all processes; the cache is part of it.',
  },
  { title: 'CPU', format: number, lines: { cores: ({ cores }) => cores }, about: 'Cores that all processes use.' },
  {
    title: 'Connections',
    format: compact,
    lines: { open: ({ connections }) => connections },
    about: 'Connections of clients that are open.',
  },
]

interface ChartsProps {
  samples: Sample[]
  events: LiveEvent[]
}

/** The charts that the reader looks for first. */
export const MainCharts = (props: ChartsProps) => (
  <Charts {...props} id="live-main" title="Requests over time" plans={main} />
)

/** Everything else over time. */
export const OtherCharts = (props: ChartsProps) => (
  <Charts {...props} id="live-others" title="More over time" plans={others} />
)

function Charts({ samples, events, id, title, plans }: ChartsProps & { id: string; title: string; plans: Plan[] }) {
  const unbroken = withGaps(samples)
  const at = unbroken.map((moment) => moment.at)
  // Notes would bury them.
  const marks = events.flatMap(({ at, text, severity }) =>
    severity === 'info' ? [] : { at, text, tone: tones[severity] },
  )
  const line = (label: string, read: Read): Series => ({
    label,
    values: unbroken.map(({ sample }) => (sample === undefined ? null : read(sample))),
  })
  return (
    <section class="cards" aria-labelledby={id}>
      <h2 id={id} class="hidden">
        {title}
      </h2>
      {plans.map(({ lines = {}, rates, nameOf = String, ...plan }) => {
        const series = Object.entries(lines).map(([label, read]) => line(label, read))
        const names = rates === undefined ? [] : namesOf(samples, rates)
        for (const name of names)
          series.push({ ...line(nameOf(name), (sample) => rates!(sample)[name] ?? 0), colour: placeOf(name) })
        return (
          <Chart
            key={plan.title}
            {...plan}
            {...{ at, marks }}
            series={series.length > 0 ? series : [line('none', () => 0)]}
          />
        )
      })}
    </section>
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
  return valueFor(places, name, () => places.size)
}

/** Names that occur, the most frequent first: at most as many as a chart has colours for. */
function namesOf(samples: Sample[], read: (sample: Sample) => Record<string, number>): string[] {
  return mostFrequent(meanRates(samples, read))
    .slice(0, 3)
    .map(([name]) => name)
}
