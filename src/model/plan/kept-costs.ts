import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { wallClock } from '../base/clock.ts'
import { processorTitle } from '../base/processor.ts'
import { replaceFile } from '../base/replace-file.ts'
import { costsFile } from '../compile/store/clean-cache.ts'
import { type CompiledPlan, filesOf, onednnPrecision, type PlanCosts } from '../contracts/compiled-plan.ts'

/*
 * Measured costs, kept beside the plans. Other workers and processes, the next start, and the next version with other weights
 * need not measure, and open the variants that pay and no others.
 */

/** After this time, ms, costs are measured again: the machine may have been busy. */
const validFor = 24 * 3600 * 1000

/** Of the variants that were open. */
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

/** Costs of such plans, measured on this machine recently, of all variants in `names`; undefined if there are none. Never rejects. */
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
