import { quantile } from '../../src/tools/load/open-loop.ts'
import type { Call, FaultEvent } from './accounts.ts'
import { type FaultKind, faultKinds } from './plan.ts'
import type { ChaosRun } from './run.ts'

/** The size of the picture and its parts, px. */
const width = 1200
const left = 150
const right = 30
const plotWidth = width - left - right
const laneHeight = 20
const heights = { rates: 190, latency: 120, memory: 90, gap: 44 }

const colours = {
  sent: '#8a8f98',
  right: '#1a7f37',
  refused: '#d97706',
  lost: '#cf222e',
  latency: '#0969da',
  memory: '#8250df',
  text: '#24292f',
  grid: '#e3e6ea',
}

/** A colour for each lane. */
const laneColours: Record<FaultKind, string> = {
  swap: '#0969da',
  burst: '#8a8f98',
  'hostile clients': '#bf3989',
  'killed thread': '#e16f24',
  'killed process': '#cf222e',
  'frozen process': '#1b7c83',
  'full plan cache': '#9a6700',
  'full log disk': '#6e5600',
  'clock jump': '#8250df',
}

type Scale = (value: number) => number

/** The run as an SVG picture: rates, latency and memory by the second, and each kind of fault in a lane of its own. */
export function drawTimeline({ calls, events, memory, stop }: Pick<ChaosRun, 'calls' | 'events' | 'memory' | 'stop'>) {
  const seconds = Math.ceil(Math.max(1, stop.end, ...lastOf(calls)) / 1000)
  const x: Scale = (ms) => left + (ms / 1000 / seconds) * plotWidth
  const perSecond = countBySecond(calls, seconds)
  let top = 88
  const rates = drawRates(perSecond, top, x)
  top += heights.rates + heights.gap
  const latency = drawLatency(perSecond, top, x)
  top += heights.latency + heights.gap
  const used = memory.map(({ at, bytes }): [number, number] => [at, bytes / 2 ** 20])
  const megabytes = drawMemory(used, top, x)
  top += heights.memory + heights.gap
  const lanes = drawLanes(events, top, x)
  const bottom = top + faultKinds.length * laneHeight
  const height = bottom + 56
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, Helvetica, Arial, sans-serif" font-size="12" fill="${colours.text}">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...legend(),
    ...rates,
    ...latency,
    ...megabytes,
    ...lanes,
    ...timeAxis(seconds, bottom, x),
    ...stopLine(stop.at, bottom, x),
    '</svg>\n',
  ].join('\n')
}

interface Second {
  sent: number
  right: number
  refused: number
  lost: number
  /** p99 of the latency of right and late answers, ms; NaN without any. */
  p99: number
}

function lastOf(calls: readonly Call[]): number[] {
  const last = calls.at(-1)
  return last === undefined ? [] : [last.at]
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

function legend(): string[] {
  const entries = [
    ['requests sent', colours.sent],
    ['answered right', colours.right],
    ['refused by design', colours.refused],
    ['lost, failed or wrong', colours.lost],
  ] as const
  return [
    `<text x="${left}" y="24" font-size="16" font-weight="600">Requests per second, latency, memory and faults</text>`,
    ...entries.flatMap(([name, colour], i) => {
      const at = left + i * 190
      return [
        `<line x1="${at}" x2="${at + 22}" y1="44" y2="44" stroke="${colour}" stroke-width="3"/>`,
        text(at + 28, 48, name),
      ]
    }),
  ]
}

function drawRates(seconds: readonly Second[], top: number, x: Scale): string[] {
  const most = niceAbove(Math.max(1, ...seconds.map(({ sent }) => sent)))
  const y: Scale = (value) => top + heights.rates * (1 - value / most)
  const line = (key: 'sent' | 'right' | 'refused') =>
    path(
      seconds.map((second, i): [number, number] => [x((i + 0.5) * 1000), y(second[key])]),
      colours[key],
    )
  const losses = seconds.flatMap(({ lost }, i) =>
    lost === 0 ? [] : [`<circle cx="${n(x((i + 0.5) * 1000))}" cy="${n(y(lost))}" r="4" fill="${colours.lost}"/>`],
  )
  return [
    ...panel(
      'requests/s',
      top,
      heights.rates,
      [0, most / 2, most].map((v) => [y(v), String(v)]),
    ),
    ...[line('sent'), line('right'), line('refused'), ...losses],
  ]
}

function drawLatency(seconds: readonly Second[], top: number, x: Scale): string[] {
  const range = [1, 10_000] as const
  const share = (ms: number) => Math.log10(Math.min(range[1], Math.max(range[0], ms))) / 4
  const y: Scale = (ms) => top + heights.latency * (1 - share(ms))
  const points = seconds.flatMap(({ p99 }, i): [number, number][] =>
    Number.isNaN(p99) ? [] : [[x((i + 0.5) * 1000), y(p99)]],
  )
  const ticks = [1, 10, 100, 1000, 10_000].map((ms): [number, string] => [
    y(ms),
    ms < 1000 ? `${ms} ms` : `${ms / 1000} s`,
  ])
  return [...panel('p99 latency', top, heights.latency, ticks), path(points, colours.latency)]
}

function drawMemory(samples: readonly [number, number][], top: number, x: Scale): string[] {
  const most = niceAbove(Math.max(1, ...samples.map(([, megabytes]) => megabytes)))
  const y: Scale = (value) => top + heights.memory * (1 - value / most)
  return [
    ...panel(
      'memory (PSS)',
      top,
      heights.memory,
      [0, most / 2, most].map((v) => [y(v), `${v} MiB`]),
    ),
    path(
      samples.map(([at, megabytes]) => [x(at), y(megabytes)]),
      colours.memory,
    ),
  ]
}

function drawLanes(events: readonly FaultEvent[], top: number, x: Scale): string[] {
  return faultKinds.flatMap((kind, i) => {
    const y = top + i * laneHeight
    const bars = events
      .filter((event) => event.kind === kind)
      .map(({ at, end, what }) => {
        const bar = `x="${n(x(at))}" y="${y + 4}" width="${n(Math.max(4, x(end) - x(at)))}" height="${laneHeight - 8}"`
        return `<rect ${bar} rx="3" fill="${laneColours[kind]}"><title>${escaped(what || kind)}</title></rect>`
      })
    return [
      `<line x1="${left}" x2="${width - right}" y1="${y + laneHeight}" y2="${y + laneHeight}" stroke="${colours.grid}"/>`,
      text(left - 10, y + 14, kind, 'end'),
      ...bars,
    ]
  })
}

/** A panel's title, and lines at these heights with their labels. */
function panel(title: string, top: number, height: number, ticks: [y: number, label: string][]): string[] {
  return [
    `<text x="${left}" y="${top - 8}" font-weight="600">${title}</text>`,
    ...ticks.flatMap(([y, label]) => [
      `<line x1="${left}" x2="${width - right}" y1="${n(y)}" y2="${n(y)}" stroke="${colours.grid}"/>`,
      text(left - 10, y + 4, label, 'end'),
    ]),
    `<line x1="${left}" x2="${left}" y1="${top}" y2="${top + height}" stroke="${colours.grid}"/>`,
  ]
}

function timeAxis(seconds: number, bottom: number, x: Scale): string[] {
  const step = niceAbove(seconds / 12)
  const ticks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step)
  return [
    ...ticks.map((second) => text(x(second * 1000), bottom + 18, String(second), 'middle')),
    text(left + plotWidth / 2, bottom + 40, 'seconds from the start of the load', 'middle'),
  ]
}

function stopLine(at: number, bottom: number, x: Scale): string[] {
  const where = n(x(at))
  return [
    `<line x1="${where}" x2="${where}" y1="72" y2="${bottom}" stroke="${colours.text}" stroke-dasharray="4 3"/>`,
    text(x(at), 66, 'SIGTERM', 'middle'),
  ]
}

function path(points: readonly [number, number][], colour: string): string {
  const d = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${n(x)} ${n(y)}`).join('')
  return `<path d="${d}" fill="none" stroke="${colour}" stroke-width="1.8" stroke-linejoin="round"/>`
}

function text(x: number, y: number, content: string, anchor = 'start'): string {
  return `<text x="${n(x)}" y="${n(y)}" text-anchor="${anchor}">${escaped(content)}</text>`
}

/** The next round number that is at least this, and whose half is round, too. */
export function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).find((nice) => nice >= value - 1e-9)!
}

const n = (value: number) => Number(value.toFixed(1))

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
