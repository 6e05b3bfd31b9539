import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { wallClock } from '../../../base/clock.ts'
import { replaceFile } from '../../../base/files.ts'
import { processorTitle } from '../../../base/processor.ts'
import {
  type CompiledPlan,
  type Cost,
  filesOf,
  onednnPrecision,
  type PlanCosts,
} from '../../contracts/compiled-plan.ts'
import { costsFile } from '../../graph/compile/stored-files.ts'
import type { FullCost, RequestRows, Variant } from './variant.ts'

/*
 * The cost of requests in a variant, µs: each in a call of its own, or sharing a call.
 */

/** The cost of one request's rows in a call of their own. */
export function costOf({ a, b }: Cost, rows: number): number {
  return rows === 0 ? 0 : a * rows + b
}

/** A cost where lists have this part of their places, from 0 for one place to 1 for all. */
export function atLength(cost: FullCost, part: number): FullCost {
  const { short, engine, ...whole } = cost
  if (short === undefined) return cost
  const between = (from: number, to: number) => from + part * (to - from)
  const joined = { a: between(short.joined.a, whole.joined.a), b: between(short.joined.b, whole.joined.b) }
  return { a: between(short.a, whole.a), b: between(short.b, whole.b), joined, ...(engine && { engine }) }
}

/** Whether a request of `rows` rows costs less in another's call than in its own. */
function joins({ a, b, joined }: FullCost, rows: number): boolean {
  return joined.a * rows + joined.b < a * rows + b
}

/** The cost of a request's rows when all `requests` of a batch share one call: its rows, and its share of the call. */
export function shareOf(cost: FullCost, rows: number, requests: number): number {
  if (rows === 0 || requests === 1 || !joins(cost, rows)) return costOf(cost, rows)
  const { b, joined } = cost
  return Math.min(costOf(cost, rows), joined.a * rows + joined.b + Math.max(0, b - joined.b) / requests)
}

/** The cost of requests together, given the rows of each. */
export function totalOf(cost: FullCost, requests: readonly number[]): number {
  let total = 0
  let joined = 0
  for (const rows of requests)
    if (rows > 0) total += joins(cost, rows) && joined++ > 0 ? cost.joined.a * rows + cost.joined.b : costOf(cost, rows)
  return total
}

/**
 * The cheapest calls for the requests: one shared by all that gain from sharing, and one for each of the others; more
 * where a call would exceed `mostRows`.
 */
export function callsOf(
  { cost, mostRows }: Pick<Variant, 'cost' | 'mostRows'>,
  requests: readonly RequestRows[],
): RequestRows[][] {
  if (requests.length === 1 && requests[0]!.rows.length <= mostRows) return [[...requests]]
  const parts = requests.flatMap((request) => cut(request, mostRows))
  const joined = parts.filter(({ rows }) => joins(cost, rows.length))
  if (joined.length < 2) return parts.map((part) => [part])
  const calls = parts.filter(({ rows }) => !joins(cost, rows.length)).map((part) => [part])
  let call: RequestRows[] = []
  let taken = 0
  for (const part of joined) {
    taken += part.rows.length
    if (call.length === 0 || taken > mostRows) {
      call = []
      calls.push(call)
      taken = part.rows.length
    }
    call.push(part)
  }
  return calls
}

function cut({ rows, slots }: RequestRows, most: number): RequestRows[] {
  if (rows.length <= most) return [{ rows, ...(slots && { slots }) }]
  return Array.from({ length: Math.ceil(rows.length / most) }, (_, i) => {
    const [start, end] = [i * most, (i + 1) * most]
    return { rows: rows.subarray(start, end), ...(slots && { slots: slots.subarray(start, end) }) }
  })
}

/*
 * Measured costs, kept beside the plans. Other workers and processes, the next start, and the next version with other
 * weights need not measure, and open the variants that pay and no others.
 */

/** After this time, ms, costs are measured again: the machine may have been busy. */
const validFor = 24 * 3600 * 1000

/** The costs of the variants that were open. */
export type MeasuredCosts = Partial<PlanCosts> & Pick<PlanCosts, 'full'>

/** A plan's folder, and the structure of its graphs. */
export interface PlanPlace {
  folder: string
  structure: string
}

/** Where costs of a plan are kept: those with oneDNN are others. */
export function placeOf(plan: Pick<CompiledPlan, 'folder' | 'description' | 'precision' | 'onednn'>): PlanPlace {
  const { structure } = filesOf(plan)
  return { folder: plan.folder, structure: onednnPrecision(plan) ? `onednn-${structure}` : structure }
}

export interface KeptCosts {
  /** Its processors, threads per call, and version of Node.js. */
  machine: string
  /** ms since 1970 */
  measured: number
  costs: MeasuredCosts
}

/** Kept costs, and what follows from them for a plan. */
export interface PlanCostsInUse extends KeptCosts {
  /** The graph as saved computes the rows of the full variant. */
  takesSaved: boolean
}

/**
 * Costs of such plans, measured on this machine recently, of all variants in `names`; undefined if there are none.
 * Never rejects.
 */
export async function readCosts(
  plan: PlanPlace,
  threads: number,
  names: readonly (keyof PlanCosts)[],
): Promise<MeasuredCosts | undefined> {
  try {
    const { machine, measured, costs }: KeptCosts = JSON.parse(await readFile(fileOf(plan), 'utf8'))
    const age = wallClock.now() - measured
    const usable = machine === machineName(threads) && age >= 0 && age < validFor
    return usable && names.every((name) => isCost(costs[name])) ? costs : undefined
  } catch {
    return undefined
  }
}

/** Costs of such plans, whenever they were measured on these processors; undefined if there are none. Never rejects. */
export async function readKept(plan: PlanPlace): Promise<KeptCosts | undefined> {
  try {
    const kept: KeptCosts = JSON.parse(await readFile(fileOf(plan), 'utf8'))
    const usable = kept.machine.startsWith(`${processorNames()}, `) && Object.values(kept.costs).every(isCost)
    return usable && isCost(kept.costs.full) ? kept : undefined
  } catch {
    return undefined
  }
}

/** Keeps measured costs, if the folder is writable. Never rejects. */
export async function writeCosts(plan: PlanPlace, threads: number, costs: MeasuredCosts): Promise<void> {
  const kept: KeptCosts = { machine: machineName(threads), measured: wallClock.now(), costs }
  await replaceFile(fileOf(plan), `${JSON.stringify(kept)}\n`).catch(() => undefined)
}

function fileOf({ folder, structure }: PlanPlace): string {
  return join(dirname(folder), costsFile(structure))
}

let processors: string | undefined

/** Reading what processors there are takes a millisecond: once in each thread. */
function processorNames(): string {
  processors ??= `${cpus().length} × ${processorTitle()}`
  return processors
}

function machineName(threads: number): string {
  return `${processorNames()}, ${threads} ${threads === 1 ? 'thread' : 'threads'} per call, Node ${process.version}`
}

/** A cost of a variant, or a number of µs. */
function isCost(value: unknown): boolean {
  if (typeof value === 'number') return value >= 0
  const { a, b, joined } = (value ?? {}) as { a?: unknown; b?: unknown; joined?: { a?: unknown; b?: unknown } }
  return [a, b, joined?.a, joined?.b].every((part) => typeof part === 'number' && part >= 0)
}
