import type { OpenLoopResult } from '../src/tools/load/open-loop.ts'
import type { ClosedLoopResult } from './closed-loop.ts'
import type { Machine } from './machine.ts'
import { type Columns, decimal, kilo, ofMaximum, table, whole } from './markdown.ts'

export interface ClosedLoopReport {
  scenario: string
  rows: number
  bodyBytes: number
  answerBytes: number
  multigate: ClosedLoopResult
  bareFastify?: ClosedLoopResult
  fastifyOnnx?: ClosedLoopResult
}

export interface OpenLoopReport {
  target: string
  scenario: string
  /** Multiple of the closed-loop maximum of the same target and scenario. */
  load: number
  /** Scheduled rate, requests/s. */
  rate: number
  seconds: number
  connections: number
  result: OpenLoopResult
}

export interface Report {
  machine: Machine
  model: { name: string; version: string; architecture: string; engine: string; workers: number; maxBatchRows: number }
  method: { seconds: number; repeats: number; connections: number; deadlineMs: number }
  closedLoop: ClosedLoopReport[]
  openLoop: OpenLoopReport[]
}

export function toMarkdown(report: Report): string {
  const { machine, model, method } = report
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`)
  const settings = Object.entries(machine.settings).map(([name, value]) => `${name}=${value}`)
  const parts = [
    '# Load test',
    [
      `${machine.date} UTC · ${machine.processor} · ${machine.cores} cores, load ${machine.loadBefore.toFixed(2)} before · ${versions.join(', ')}`,
      `Model ${model.name}/${model.version} (${model.architecture}), engine ${model.engine}, ${model.workers} workers, at most ${model.maxBatchRows} rows per call${settings.length > 0 ? `, ${settings.join(' ')}` : ''}.`,
      'The load generator shares the cores with the server. Made by `npm run loadtest`; docs/performance.md explains the figures.',
    ].join('\n'),
  ]
  if (report.closedLoop.length > 0)
    parts.push(
      '## Closed loop',
      `${method.connections} connections, each sends its next request when it receives an answer. Median of ${method.repeats} interleaved runs of ${method.seconds} s per server.`,
      table(closedLoopColumns, report.closedLoop),
    )
  if (report.openLoop.length > 0)
    parts.push(
      '## Open loop',
      `Poisson arrivals at a multiple of the same server's closed-loop maximum; latency of answers with status 200, from the scheduled time. Goodput: answers within ${method.deadlineMs} ms.`,
      table(openLoopColumns, report.openLoop),
    )
  return `${parts.join('\n\n')}\n`
}

const closedLoopColumns: Columns<ClosedLoopReport> = {
  scenario: ({ scenario, bodyBytes, answerBytes }) => `${scenario} (${kilo(bodyBytes)} → ${kilo(answerBytes)})`,
  'multigate, req/s': ({ multigate }) => whole(multigate.requestsPerSecond),
  'rows/s': ({ multigate, rows }) => whole(multigate.requestsPerSecond * rows),
  'p50, ms': ({ multigate }) => decimal(multigate.p50),
  'p99, ms': ({ multigate }) => decimal(multigate.p99),
  'CPU, ms/req': ({ multigate }) => multigate.cpuMs.toFixed(3),
  'bare Fastify, req/s': ({ bareFastify }) => (bareFastify ? whole(bareFastify.requestsPerSecond) : '–'),
  'CPU, ms/req ': ({ bareFastify }) => (bareFastify ? bareFastify.cpuMs.toFixed(3) : '–'),
  ratio: ({ multigate, bareFastify }) => ratio(multigate, bareFastify),
  'Fastify + onnxruntime-node, req/s': ({ fastifyOnnx }) => (fastifyOnnx ? whole(fastifyOnnx.requestsPerSecond) : '–'),
  'ratio ': ({ multigate, fastifyOnnx }) => ratio(multigate, fastifyOnnx),
}

const openLoopColumns: Columns<OpenLoopReport> = {
  server: ({ target, scenario }) => `${target}, ${scenario}`,
  load: ({ load }) => `${load}×`,
  'offered, req/s': ({ rate }) => whole(rate),
  'goodput, req/s': ({ result, seconds }) => whole(result.good / seconds),
  'of offered': ({ result }) => share(result.good, result),
  'of maximum': ({ result, ...run }) => `${(ofMaximum(result.good, run) * 100).toFixed(0)} %`,
  late: ({ result }) => share(result.late, result),
  rejected: ({ result }) => share(result.rejected, result),
  failed: ({ result }) => share(result.failed, result),
  'no connection': ({ result }) => share(result.noConnection, result),
  'p50, ms': ({ result }) => decimal(result.latency.p50),
  p99: ({ result }) => decimal(result.latency.p99),
  'p99.9': ({ result }) => decimal(result.latency.p999),
  'generator late by p50 / p99, ms': ({ result }) =>
    `${decimal(result.lateness.p50)} / ${decimal(result.lateness.p99)}`,
}

function ratio(ours: ClosedLoopResult, other: ClosedLoopResult | undefined): string {
  return other ? `${(ours.requestsPerSecond / other.requestsPerSecond).toFixed(2)}×` : '–'
}

function share(count: number, { scheduled }: OpenLoopResult): string {
  return count === 0 ? '0' : `${((count / scheduled) * 100).toFixed(1)} %`
}
