import { median } from '../../src/base/arrays.ts'
import { type Columns, decimal, kilo, ofMaximum, percent, table, whole } from '../markdown.ts'
import { ceilingOf } from './ceiling.ts'
import { tolerances } from './check.ts'
import { forms } from './forms.ts'
import {
  type Best,
  bestOf,
  type CellResult,
  type ComparisonReport,
  type Differences,
  findCell,
  goodputAtThree,
  isFailed,
  shareOfEngine,
} from './results.ts'
import { meanRows, type Scenario, scenarios } from './scenarios.ts'
import { type ServerName, servers } from './servers.ts'

/** A generator later than this (p99) measures itself, ms. */
const tooLateMs = 5

/** A row of the overview: a server, a form, a kind of candidates. */
type Row = Pick<CellResult, 'server' | 'form' | 'candidates'>

export function toMarkdown(report: ComparisonReport): string {
  const dates = report.cells.map(({ date }) => date).sort()
  const { machine, method, cells } = report
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`)
  const settings = Object.entries(machine.settings).map(([name, value]) => `${name}=${value}`)
  const parts = [
    '# Side by side',
    [
      `${dates[0]}${dates.at(-1) === dates[0] ? '' : ` to ${dates.at(-1)}`} UTC · ${machine.processor} · ${machine.cores} cores, load ${machine.loadBefore.toFixed(2)} before · ${versions.join(', ')}${settings.length > 0 ? ` · ${settings.join(' ')}` : ''}`,
      ...report.servers.filter(({ versions }) => Object.keys(versions).length > 0).map(describe),
      `${method.short ? 'The short form, for a rough look. ' : ''}The load generator shares the cores with the server; others: CPU use of everything else on this machine, which should be close to zero${method.short ? '' : ' (a disturbed run is repeated, at most three times, and the quietest counts)'}. Made by \`npm run loadtest -- competitors\`; docs/performance.md explains the figures.`,
      `Answers were checked first; none differs from ONNX Runtime's on the exported graph by more than ${method.largestDifference.toExponential(1)}${byPrecision(method.differences)}.`,
    ].join('\n'),
    ...report.missing.map(({ name, reason }) => `**Omitted: ${name}**, ${reason}`),
    ...(report.failed ?? []).map(
      ({ server, scenario, reason }) => `**Omitted: ${servers[server].title} in ${scenario}**, ${reason}`,
    ),
    '## Requests per second',
    summaryTable(report),
    '## Closed loop',
    `Generator: ${method.generator}. Each connection sends its next request when it receives an answer. At ${list(method.connections)} connections; the table has the number with the most answers. Median (least – most) of ${method.repeats} runs of ${method.seconds} s with alternating servers, each in a new process.${cells.some(({ alone }) => alone) ? ` Beside rows of many candidates: what the engine alone takes for one request, one session on each core at the same time, the context's part included; warm, and cold, each call after 64 MiB of other memory. The ceiling is cores ÷ the warm time.` : ''}`,
    ...chosen(report).map((scenario) => closedSection(scenario, cells, machine.cores)),
  ]
  if (cells.some(({ open }) => open.length > 0))
    parts.push(
      '## Open loop',
      `Poisson arrivals at a multiple of the same row's closed-loop maximum, ${method.openSeconds} s, over at most ${method.openConnections} connections; latency of answers with status 200, from the scheduled time. Goodput: answers within ${method.deadlineMs} ms. Loads above ${whole(method.mostRequestsPerSecond)} req/s are omitted: they would measure the generator. †: it was late by more than ${tooLateMs} ms (p99), which the latencies include. Single: one request on a new connection after the run. The generator is one process of Node.js${cells.every(({ open }) => open.every(({ raised }) => raised)) ? ', of higher priority than the servers' : ''}.`,
      ...chosen(report).map((scenario) => openSection(scenario, cells)),
    )
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

/** Where precisions differ. */
function byPrecision(differences: Differences = {}): string {
  const entries = Object.entries(differences) as [keyof Differences, number][]
  if (entries.length < 2) return ''
  const parts = entries.map(
    ([precision, most]) => `${precision} ${most.toExponential(1)} (at most ${tolerances[precision].toExponential(0)})`,
  )
  return `: ${parts.join(', ')}`
}

/** Requests per second by scenario. */
export function summaryTable(report: ComparisonReport): string {
  const rows: Row[] = []
  for (const { server, form, candidates } of report.cells)
    if (!rows.some((row) => row.server === server && row.form === form && row.candidates === candidates))
      rows.push({ server, form, candidates })
  for (const { server } of report.failed ?? [])
    if (!rows.some((row) => row.server === server))
      rows.push({ server, form: servers[server].forms[0]!, candidates: 'new' })
  rows.sort((a, b) => serverNames.indexOf(a.server) - serverNames.indexOf(b.server))
  const cellOf = (row: Row, scenario: Scenario['name']) => findCell(report.cells, { ...row, scenario })
  const columns: Columns<Row> = { server: nameOf }
  for (const { name, title } of chosen(report))
    columns[`${name}: ${title}`] = (row) => {
      const cell = cellOf(row, name)
      if (cell) return `${whole(bestOf(cell).requestsPerSecond)}${servesFloat32(cell) ? ' (float32)' : ''}`
      return isFailed(report.failed ?? [], row.server, name) ? 'omitted' : '–'
    }
  if (report.cells.some(({ scenario, open }) => scenario === 'S3' && open.some(({ load }) => load === 3)))
    columns[`S3 at 3×: in ${report.method.deadlineMs} ms, of the maximum`] = (row) => {
      const cell = cellOf(row, 'S3')
      return (cell && goodputAtThree(cell)) ?? '–'
    }
  return table(columns, rows)
}

function closedSection(scenario: Scenario, cells: readonly CellResult[], cores: number): string {
  const rows = cells
    .filter((cell) => cell.scenario === scenario.name)
    .map((cell) => ({ cell, best: bestOf(cell), errors: cell.closed.reduce((sum, run) => sum + run.errors, 0) }))
    .sort((a, b) => b.best.requestsPerSecond - a.best.requestsPerSecond)
  const baseline = rows.find(({ cell }) => cell.server === 'fastify')?.best
  const columns: Columns<(typeof rows)[number]> = {
    server: ({ cell }) => `${nameOf(cell)}${servesFloat32(cell) ? ' (float32 is served: it is as fast)' : ''}`,
    'req/s': ({ best }) => whole(best.requestsPerSecond),
    'least – most': ({ best }) => `${whole(best.least)} – ${whole(best.most)}`,
    'candidates/s': ({ best }) => whole(best.requestsPerSecond * meanRows(scenario)),
    '÷ Fastify': ({ best }) => ratio(best, baseline),
    connections: ({ best }) => String(best.connections),
    'p50, ms': ({ best }) => decimal(best.p50),
    p99: ({ best }) => decimal(best.p99),
    'server CPU, ms/req': ({ best }) => best.serverMs.toFixed(3),
    'generator, cores': ({ best }) => decimal(best.generatorCores),
    'others, cores': ({ best }) => decimal(best.otherCores),
    body: ({ cell }) => kilo(cell.bodyBytes),
    workers: ({ cell }) => `${cell.workers}${cell.batch > 1 ? ', batching' : ''}`,
    'cached candidates': ({ best }) => (best.known === undefined ? '' : percent(best.known)),
    errors: ({ errors }) => String(errors),
  }
  return [`### ${scenario.name}: ${scenario.title}`, table(columns, rows), engineTable(rows, cores)]
    .filter((part) => part !== '')
    .join('\n\n')
}

/** The served rate beside the ceiling of the engine alone; empty where that was not timed. */
function engineTable(rows: readonly { cell: CellResult; best: Best }[], cores: number): string {
  const timed = rows.filter(({ cell }) => cell.alone)
  const columns: Columns<(typeof rows)[number]> = {
    server: ({ cell }) => nameOf(cell),
    variant: ({ cell }) => cell.alone![0]!.variant,
    'engine alone, warm, µs': ({ cell }) => whole(median(cell.alone!.map(({ warm }) => warm))),
    'cold, µs': ({ cell }) => whole(median(cell.alone!.map(({ cold }) => cold))),
    'ceiling, req/s': ({ cell }) => whole(ceilingOf(cell.alone!, cores)),
    'served, req/s': ({ best }) => whole(best.requestsPerSecond),
    share: ({ cell }) => shareOfEngine(cell, cores)!.toFixed(2),
  }
  return timed.length === 0 ? '' : table(columns, timed)
}

function openSection(scenario: Scenario, cells: readonly CellResult[]): string {
  const rows = cells
    .filter((cell) => cell.scenario === scenario.name)
    .flatMap((cell) => cell.open.map((run) => ({ cell, run })))
  const columns: Columns<(typeof rows)[number]> = {
    server: ({ cell }) => nameOf(cell),
    load: ({ run }) => `${run.load}×${run.lateness.p99 > tooLateMs ? ' †' : ''}`,
    'offered, req/s': ({ run }) => whole(run.rate),
    'goodput, req/s': ({ run }) => whole(run.good / run.seconds),
    'of offered': ({ run }) => percent(run.good / run.scheduled),
    'of maximum': ({ run }) => percent(ofMaximum(run.good, run)),
    'p50, ms': ({ run }) => decimal(run.latency.p50),
    p99: ({ run }) => decimal(run.latency.p99),
    'p99.9': ({ run }) => decimal(run.latency.p999),
    late: ({ run }) => percent(run.late / run.scheduled),
    rejected: ({ run }) => percent(run.rejected / run.scheduled),
    'after p50 / p99, ms': ({ run }) =>
      run.rejected > 0 ? `${decimal(run.rejection.p50)} / ${decimal(run.rejection.p99)}` : '–',
    failed: ({ run }) => percent(run.failed / run.scheduled),
    'no connection': ({ run }) => percent(run.noConnection / run.scheduled),
    'single, ms': ({ run }) =>
      run.lone.status === 200 ? decimal(run.lone.ms) : `no (${run.lone.status ?? 'silence'})`,
    'generator late p50 / p99, ms': ({ run }) => `${decimal(run.lateness.p50)} / ${decimal(run.lateness.p99)}`,
    cores: ({ run }) => decimal(run.generatorCores),
    'others, cores': ({ run }) => decimal(run.otherCores),
  }
  return rows.length === 0 ? '' : `### ${scenario.name}: ${scenario.title}\n\n${table(columns, rows)}`
}

const serverNames = Object.keys(servers) as ServerName[]

function chosen({ cells }: ComparisonReport): Scenario[] {
  return scenarios.filter(({ name }) => cells.some(({ scenario }) => scenario === name))
}

/** The server's title; for multigate with its candidates, where they matter. */
export function nameOf({ server, form, candidates }: Row): string {
  const { title, candidates: kinds, forms: known } = servers[server]
  const parts = [title]
  if (known.length > 1) parts.push(forms[form].title)
  if (kinds.length > 1) parts.push(candidates === 'new' ? 'new candidates' : 'cached candidates')
  return parts.join(', ')
}

/** Whether float32 is served in the place of a rounded precision. */
function servesFloat32({ precision }: CellResult): boolean {
  return precision === 'float32'
}

function describe({ name, versions }: ComparisonReport['servers'][number]): string {
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return `${name}: ${packages.join(', ')}.`
}

function ratio(best: Best, baseline: Best | undefined): string {
  return baseline ? (best.requestsPerSecond / baseline.requestsPerSecond).toFixed(2) : '–'
}

function list(values: readonly number[]): string {
  return values.length > 1 ? `${values.slice(0, -1).join(', ')} and ${values.at(-1)}` : String(values[0])
}
