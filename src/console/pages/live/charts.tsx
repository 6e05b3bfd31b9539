import { bytes, compact, milliseconds, number, percent } from '../../parts/format.ts'
import { Charts, type ChartsProps, type Plan, type Read } from '../../parts/sample-charts.tsx'
import { outcomeName, shedName } from './traffic-findings.ts'

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

type SamplesProps = Pick<ChartsProps, 'samples' | 'events'>

/** The charts that the reader looks for first. */
export const MainCharts = (props: SamplesProps) => (
  <Charts {...props} id="live-main" title="Requests over time" plans={main} />
)

/** Everything else over time. */
export const OtherCharts = (props: SamplesProps) => (
  <Charts {...props} id="live-others" title="More over time" plans={others} />
)
