import { formatBytes, formatTable, grouped } from '../../base/terminal.ts'
import type { LiveModel, LiveProcess, LiveSample } from '../../schemas/live-figures.ts'
import { mostFrequent, sumOf } from '../../schemas/outcomes.ts'
import type { ShownUpdate } from './follow-live.ts'

/** The figures to show. */
export interface View {
  url: string
  update: ShownUpdate | undefined
  /** Why the figures are old, or missing. */
  problem: string | undefined
}

export interface Line {
  text: string
  style?: 'bold' | 'red' | 'dim'
}

/** The figures of a service as lines of text. */
export function draw({ url, update, problem }: View): Line[] {
  const lines: Line[] = [{ text: `multigate top · ${url}`, style: 'bold' }]
  if (problem !== undefined) lines.push({ text: problem, style: 'red' })
  const sample = update?.fine.at(-1)
  if (update === undefined || sample === undefined) {
    if (problem === undefined) lines.push({ text: 'Waiting for the first figures …', style: 'dim' })
    return lines.map(printable)
  }
  lines.push({ text: '' }, ...traffic(sample), { text: '' }, ...stages(sample), { text: '' }, ...resources(sample))
  lines.push({ text: '' }, ...table(modelRows(update.models), 'No requests in the last second'))
  lines.push({ text: '' }, ...table(processRows(update.processes), ''))
  return lines.map(printable)
}

/** Lines that fit a terminal of this size: wider ones are cut, and the last ones left out. */
export function fit(lines: readonly Line[], columns: number, rows: number): Line[] {
  return lines.slice(0, rows).map((line) => ({ ...line, text: [...line.text].slice(0, columns).join('') }))
}

function traffic({ requests, ok, candidates, failed, shed }: LiveSample): Line[] {
  const goodput = requests > 0 ? `${((100 * ok) / requests).toFixed(1)} %` : '–'
  return [
    row('Requests', `${rate(requests)}/s, in time ${goodput}`),
    row('Candidates', `${rate(candidates)}/s`),
    { ...row('Failed', named(failed)), ...(sumOf(failed) > 0 && { style: 'red' }) },
    { ...row('Shed', named(shed)), ...(sumOf(shed) > 0 && { style: 'red' }) },
  ]
}

function stages(sample: LiveSample): Line[] {
  const rows = (['total', 'encode', 'queue', 'infer'] as const).map((name) => {
    const quantiles = sample.stages[name]
    const title = name === 'infer' ? 'compute' : name
    return [title, ...(['p50', 'p95', 'p99'] as const).map((q) => (quantiles === null ? '–' : ms(quantiles[q])))]
  })
  return table([['Latency, ms', 'p50', 'p95', 'p99'], ...rows], '')
}

function resources(sample: LiveSample): Line[] {
  const { queue_rows, wait_ms, deadline_ms, loop_busy, workers_busy, saturation, cores, cache, connections } = sample
  const { style } = saturation >= 1 ? { style: 'red' as const } : {}
  return [
    row(
      'Queue',
      `${grouped(queue_rows)} rows, predicted wait ${ms(wait_ms)} ms of a deadline of ${ms(deadline_ms)} ms`,
    ),
    {
      ...row('Busy', `event loop ${share(loop_busy)}, workers ${share(workers_busy)}, saturation ${share(saturation)}`),
      ...(style && { style }),
    },
    row('CPU', `${cores.toFixed(2)} cores, ${grouped(connections)} connections`),
    row('Memory', `${formatBytes(sample.resident_bytes)}, of it cached candidates ${formatBytes(cache.bytes)}`),
  ]
}

function modelRows(models: readonly LiveModel[]): string[][] {
  if (models.length === 0) return []
  return [
    ['Model', 'requests/s', 'candidates/s', 'p50', 'p99', 'failed/s', 'shed/s', 'queue'],
    ...models.map(({ model, version, requests, candidates, total, failed, shed, queue_rows }) => [
      `${model} ${version}`,
      rate(requests),
      rate(candidates),
      total === null ? '–' : ms(total.p50),
      total === null ? '–' : ms(total.p99),
      rate(sumOf(failed)),
      rate(sumOf(shed)),
      grouped(queue_rows),
    ]),
  ]
}

function processRows(processes: readonly LiveProcess[]): string[][] {
  return [
    ['Process', 'up', 'memory', 'cores', 'loop', 'workers', 'busy', 'connections'],
    ...processes.map((one) => [
      String(one.pid),
      uptime(one.uptime_seconds),
      formatBytes(one.resident_bytes),
      one.cores.toFixed(2),
      share(one.loop_busy),
      String(one.workers),
      share(one.workers_busy),
      grouped(one.connections),
    ]),
  ]
}

function table([header, ...rows]: string[][], empty: string): Line[] {
  if (header === undefined) return [{ text: empty, style: 'dim' }]
  const [title, , ...body] = formatTable(header, rows).split('\n')
  return [{ text: title!, style: 'dim' }, ...body.map((text) => ({ text }))]
}

const row = (name: string, text: string): Line => ({ text: `${name.padEnd(12)}${text}` })
const share = (value: number) => `${(100 * value).toFixed(0)} %`
const rate = (value: number) => (value === 0 || value >= 100 ? grouped(value) : value.toPrecision(3))
const ms = (value: number) => (value >= 100 ? grouped(value) : value.toPrecision(3))

function named(rates: Record<string, number>): string {
  const entries = mostFrequent(rates)
  if (entries.length === 0) return 'none'
  return entries.map(([name, value]) => `${name.replaceAll('_', ' ')} ${rate(value)}/s`).join(', ')
}

function uptime(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** Names of models come from files: control characters would move the cursor. */
function printable(line: Line): Line {
  return { ...line, text: line.text.replace(/\p{Cc}/gu, '\u{fffd}') }
}
