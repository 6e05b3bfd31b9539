import { quantile } from '../../src/tools/load/open-loop.ts'
import { drawSvg } from '../draw.ts'
import type { Call } from './accounts.ts'
import { faultKinds } from './plan.ts'
import type { ChaosRun } from './run.ts'

const outcomes = {
  sent: ['requests sent', '#8a8f98'],
  right: ['answered right', '#1a7f37'],
  refused: ['refused by design', '#d97706'],
  lost: ['lost, failed or wrong', '#cf222e'],
} as const

/** The run as an SVG picture: rates, latency and memory by the second, and each kind of fault in a lane of its own. */
export function drawTimeline({ calls, events, memory, stop }: Pick<ChaosRun, 'calls' | 'events' | 'memory' | 'stop'>) {
  const end = Math.ceil(Math.max(1, stop.end, calls.at(-1)?.at ?? 0) / 1000)
  const seconds = countBySecond(calls, end).map((second, i) => ({ ...second, at: i + 0.5 }))
  const rates = Object.entries(outcomes).flatMap(([key, [outcome]]) =>
    seconds.map((second) => ({ at: second.at, outcome, count: second[key as keyof typeof outcomes] })),
  )
  const used = memory.map(({ at, bytes }) => ({ at: at / 1000, mib: bytes / 2 ** 20 }))
  const bars = events.map(({ kind, at, end: until, what }) => ({
    ...{ kind, what: what || kind, at: at / 1000 },
    // Wide enough to be seen.
    until: Math.max(until, at + 4 * end) / 1000,
  }))
  const x = { field: 'at', type: 'quantitative', title: null, scale: { domain: [0, end], nice: false } }
  const y = (field: string, more: object = {}) => ({ field, type: 'quantitative', title: null, ...more })
  const sigterm = { data: { values: [{ at: stop.at / 1000 }] }, encoding: { x } }
  const panel = (title: string, height: number, ...layers: object[]) => ({
    ...{ title: { text: title, anchor: 'start', frame: 'group', fontSize: 12 }, width: 1000, height },
    layer: [...layers, { ...sigterm, mark: { type: 'rule', strokeDash: [4, 3] } }],
  })
  const color = {
    ...{ field: 'outcome', type: 'nominal', legend: { title: null, orient: 'top', labelLimit: 0 } },
    scale: {
      domain: Object.values(outcomes).map(([name]) => name),
      range: Object.values(outcomes).map(([, hex]) => hex),
    },
  }
  const isLost = `datum.outcome === '${outcomes.lost[0]}'`
  return drawSvg({
    title: 'Requests per second, latency, memory and faults',
    vconcat: [
      panel(
        'requests/s',
        190,
        {
          ...{ data: { values: rates }, transform: [{ filter: `!(${isLost})` }] },
          ...{ mark: 'line', encoding: { x, y: y('count'), color } },
        },
        {
          ...{ data: { values: rates }, transform: [{ filter: `${isLost} && datum.count > 0` }] },
          ...{ mark: { type: 'circle', size: 50, opacity: 1 }, encoding: { x, y: y('count'), color } },
        },
        { ...sigterm, mark: { type: 'text', text: 'SIGTERM', y: -6 } },
      ),
      panel('p99 latency, ms', 120, {
        data: { values: seconds.filter(({ p99 }) => !Number.isNaN(p99)) },
        mark: { type: 'line', color: '#0969da' },
        encoding: {
          x,
          y: y('p99', {
            scale: { type: 'log', domain: [1, 10_000], clamp: true },
            axis: { values: [1, 10, 100, 1000, 10_000] },
          }),
        },
      }),
      panel('memory (PSS), MiB', 90, {
        data: { values: used },
        mark: { type: 'line', color: '#8250df' },
        encoding: { x, y: y('mib') },
      }),
      panel('faults', 20 * faultKinds.length, {
        data: { values: bars },
        mark: { type: 'bar', height: 12, cornerRadius: 3 },
        encoding: {
          x: { ...x, title: 'seconds from the start of the load' },
          x2: { field: 'until' },
          y: { field: 'kind', type: 'nominal', title: null, scale: { domain: faultKinds } },
          color: { field: 'kind', type: 'nominal', legend: null, scale: { domain: faultKinds, scheme: 'tableau10' } },
          description: { field: 'what' },
        },
      }),
    ],
    resolve: { scale: { color: 'independent' } },
  })
}

interface Second {
  sent: number
  right: number
  refused: number
  lost: number
  /** p99 of the latency of right and late answers, ms; NaN without any. */
  p99: number
}

/** Requests by the second in which they were sent. */
export function countBySecond(calls: readonly Call[], seconds: number): Second[] {
  const groups = Array.from({ length: seconds }, (): Call[] => [])
  for (const call of calls) groups[Math.floor(call.at / 1000)]?.push(call)
  return groups.map((group) => {
    const of = (...outcomes: Call['outcome'][]) => group.filter(({ outcome }) => outcomes.includes(outcome))
    const answered = of('right', 'late')
    return {
      sent: group.length - of('not sent').length,
      right: answered.length,
      refused: of('refused', 'no listener').length,
      lost: of('lost', 'failed', 'wrong').length,
      p99: quantile(
        answered.map(({ at, end }) => end - at),
        0.99,
      ),
    }
  })
}
