import { median } from '../../src/base/arrays.ts'
import { mediansOf } from '../closed-loop.ts'
import type { GeneratorResult } from '../generator.ts'
import type { Machine } from '../machine.ts'
import { ofMaximum, percent } from '../markdown.ts'
import { type AloneTimes, ceilingOf } from './ceiling.ts'
import type { tolerances } from './check.ts'
import type { ClosedRun } from './closed-loop.ts'
import type { FormName } from './forms.ts'
import type { Candidates } from './queries.ts'
import type { Scenario } from './scenarios.ts'
import type { ServerName } from './servers.ts'

export interface CellResult {
  server: ServerName
  scenario: Scenario['name']
  form: FormName
  candidates: Candidates
  /** When its run began, UTC. */
  date: string
  /** Served, of multigate in a rounded one; float32 where that is as fast. */
  precision?: string
  workers: number
  batch: number
  bodyBytes: number
  /** Different requests. */
  distinct: number
  /** Times of our engine alone for one request, in each repeat, where requests have many candidates. */
  alone?: AloneTimes[]
  /** `known`: share of cached candidates, by multigate's own counts. */
  closed: (ClosedRun & { connections: number; known?: number })[]
  open: (GeneratorResult & { load: number; rate: number; seconds: number; raised: boolean; otherCores: number })[]
}

/** Largest difference of a probability from the reference, by precision. */
export type Differences = Partial<Record<keyof typeof tolerances, number>>

/** A server that failed in a scenario, or does not serve its model in the server's precision. */
export interface FailedServer {
  server: ServerName
  scenario: Scenario['name']
  reason: string
}

export interface ComparisonReport {
  machine: Machine
  method: {
    short: boolean
    /** The generator of the closed loop. */
    generator: string
    seconds: number
    repeats: number
    connections: number[]
    openSeconds: number
    openConnections: number
    deadlineMs: number
    mostRequestsPerSecond: number
    /** Between an answer and the reference, over all checks. */
    largestDifference: number
    /** The same by what servers compute in. */
    differences?: Differences
  }
  servers: { name: string; versions: Record<string, string> }[]
  /** Servers that could not be installed. */
  missing: { name: string; reason: string }[]
  failed?: FailedServer[]
  cells: CellResult[]
}

/** A cell's closed loop at the number of connections with the most answers; medians over the repeats. */
export interface Best {
  connections: number
  requestsPerSecond: number
  least: number
  most: number
  p50: number
  p99: number
  serverMs: number
  generatorCores: number
  otherCores: number
  known: number | undefined
}

/** Throws RangeError without measurements. */
export function bestOf({ closed }: Pick<CellResult, 'closed'>): Best {
  const all = [...new Set(closed.map(({ connections }) => connections))].map((connections) => {
    const runs = closed.filter((run) => run.connections === connections)
    const rates = runs.map(({ requestsPerSecond }) => requestsPerSecond)
    const known = runs.flatMap(({ known }) => known ?? [])
    return {
      connections,
      ...mediansOf(runs, ['requestsPerSecond', 'p50', 'p99', 'serverMs', 'generatorCores', 'otherCores']),
      least: Math.min(...rates),
      most: Math.max(...rates),
      known: known.length > 0 ? median(known) : undefined,
    }
  })
  const [first, ...others] = all
  if (first === undefined) throw new RangeError('nothing has been measured')
  return others.reduce((best, other) => (other.requestsPerSecond > best.requestsPerSecond ? other : best), first)
}

/** Merges a run of some cells into earlier results; new measurements replace old ones. */
export function addTo(earlier: ComparisonReport, report: ComparisonReport): ComparisonReport {
  const cells = new Map([...earlier.cells, ...report.cells].map((cell) => [keyOf(cell), cell]))
  const newOnes = report.servers.map(({ name }) => name)
  const tried = [...newOnes, ...report.missing.map(({ name }) => name)]
  const failed = report.failed ?? []
  const isMeasured = ({ server, scenario }: FailedServer) =>
    report.cells.some((cell) => cell.server === server && cell.scenario === scenario)
  return {
    ...report,
    method: {
      ...report.method,
      largestDifference: Math.max(earlier.method.largestDifference, report.method.largestDifference),
      differences: largestOf(earlier.method.differences, report.method.differences),
    },
    servers: [...earlier.servers.filter(({ name }) => !newOnes.includes(name)), ...report.servers],
    missing: [...earlier.missing.filter(({ name }) => !tried.includes(name)), ...report.missing],
    failed: [
      ...(earlier.failed ?? []).filter((one) => !isMeasured(one) && !isFailed(failed, one.server, one.scenario)),
      ...failed,
    ],
    cells: [...cells.values()],
  }
}

export function isFailed(failed: readonly FailedServer[], server: ServerName, scenario: Scenario['name']): boolean {
  return failed.some((one) => one.server === server && one.scenario === scenario)
}

type CellKey = Pick<CellResult, 'server' | 'scenario' | 'form' | 'candidates'>

/** Identifies what a cell measures, in any report. */
export function keyOf({ server, scenario, form, candidates }: CellKey): string {
  return [server, scenario, form, candidates].join()
}

export function findCell(cells: readonly CellResult[], wanted: CellKey): CellResult | undefined {
  return cells.find((cell) => keyOf(cell) === keyOf(wanted))
}

/** Goodput at three times the maximum, as a share of that; undefined where it was not measured. */
export function goodputAtThree({ open }: Pick<CellResult, 'open'>): string | undefined {
  const run = open.find(({ load }) => load === 3)
  return run && percent(ofMaximum(run.good, run))
}

/** Requests served, as a share of what the engine alone could do on as many cores; undefined where it was not timed. */
export function shareOfEngine(cell: Pick<CellResult, 'alone' | 'closed'>, cores: number): number | undefined {
  return cell.alone && bestOf(cell).requestsPerSecond / ceilingOf(cell.alone, cores)
}

function largestOf(one: Differences = {}, other: Differences = {}): Differences {
  const names = new Set(Object.keys({ ...one, ...other }) as (keyof Differences)[])
  return Object.fromEntries([...names].map((name) => [name, Math.max(one[name] ?? 0, other[name] ?? 0)]))
}
