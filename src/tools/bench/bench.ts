import { reasonOf } from '../../base/errors.ts'
import type { TaskDifference } from '../../model/contracts/compiled-plan.ts'
import { createOnnxEngine } from '../../model/engines/onnx/onnx.ts'
import { removeTemporary } from '../../model/graph/compile/prepare.ts'
import { prepareInThread } from '../../model/graph/compile/prepare-in-thread.ts'
import type { Prepared } from '../../model/graph/compile/prepare-request.ts'
import type { TableFormat } from '../../schemas/precision.ts'
import { type Measurement, measure, type Plans } from './measure.ts'
import type { Target } from './target.ts'

export interface BenchOptions {
  /** Rows per request; each number is measured in turn. */
  rows: number[]
  /** Requests per call. */
  requests: number
  /** Values of each list; default: any number. */
  listValues?: number | undefined
  /** Time to measure each plan with each number of rows, s. */
  seconds: number
  threads: number
  random: () => number
  now: () => number
  signal: AbortSignal
  /** Called with the current step; an empty text ends it. */
  progress(text: string): void
}

export interface BenchReport {
  target: string
  inputs: { name: string; dtype: string; context: number; candidate: number; cross: number }[]
  threads: number
  measurements: Measurement[]
  int8: Int8Report
  /** The library that computes products in bfloat16, or why none does; absent where no plan was compiled. */
  bfloat16?: ProductsReport
  /** If the manifest asks for another format of large tables than float32. */
  tables?: TablesReport
  /** Why the graph runs uncompiled, or is not split by side. */
  notes: string[]
}

/** How oneDNN computes products, such as `oneDNN 3.2.0, AMX`; or why it doesn't. */
export type ProductsReport = { products: string } | { reason: string }

/** `unverified`: compared on random rows. */
export interface Int8Report {
  /** Whether it keeps the limits on the available rows. */
  within_limits: boolean
  state: 'passed' | 'refused' | 'unverified' | 'impossible'
  tasks: TaskDifference[]
  reasons: string[]
  /** The library that computes it and, if that is not oneDNN, the reason. */
  products?: string
}

/** How large tables are stored, if the manifest asks for another format than float32. */
export interface TablesReport {
  requested: TableFormat
  /** The format of the measured plans. */
  format: TableFormat
  /** Judged by the version's own rows, as by a server; otherwise by random ones. */
  verified: boolean
  tasks: TaskDifference[]
  /** Why it is not the requested format. */
  problem?: string
}

/** Compiles a target and measures all its plans. */
export async function bench(target: Target, options: BenchOptions): Promise<BenchReport> {
  options.progress(`compiling ${target.name}`)
  const prepared = await prepareBoth(target)
  try {
    return await benchPrepared(target, prepared, options)
  } finally {
    await dispose(prepared)
  }
}

async function benchPrepared(target: Target, prepared: Prepared, options: BenchOptions): Promise<BenchReport> {
  const { rows, requests, listValues, seconds, threads, random, now, signal, progress } = options
  const engine = await createOnnxEngine({ threads })
  const products = await productsOf(prepared)
  const plans = plansOf(prepared, products)
  const measurements: Measurement[] = []
  for (const count of rows) {
    progress(`measuring ${requests} × ${count} rows`)
    const shape = { rows: count, requests, listValues }
    measurements.push(...(await measure({ target, plans, engine, shape, seconds, random, now, signal })))
  }
  return {
    target: target.name,
    inputs: target.inputs.map(({ name, dtype, sides }) => {
      const count = (side: string) => sides.filter((other) => other === side).length
      return { name, dtype, context: count('context'), candidate: count('candidate'), cross: count('cross') }
    }),
    threads,
    measurements,
    int8: describeInt8(target, prepared, products),
    ...(prepared.plan && { bfloat16: products.bfloat16 }),
    ...tablesOf(target, prepared),
    notes: notesOf(prepared),
  }
}

/** Why the graph runs uncompiled, or is not split by side. */
export function notesOf({ plan, warnings, problem }: Prepared): string[] {
  const unsplit = plan?.description.float32.unsplit
  return [
    ...warnings,
    ...(problem === undefined ? [] : [`the graph runs uncompiled: ${problem}`]),
    ...(unsplit === undefined ? [] : [`it is not split by side: ${unsplit}`]),
  ]
}

/** Compiles both precisions, regardless of the manifest, into a temporary folder. */
export function prepareBoth({ request, quantization }: Target): Promise<Prepared> {
  return prepareInThread({
    ...request,
    precision: 'int8',
    onlyIfFaster: false,
    quantization,
    cache: undefined,
    now: Date.now(),
  })
}

/** Removes a plan outside the cache. */
export async function dispose({ plan }: Prepared): Promise<void> {
  if (plan !== undefined) await removeTemporary(plan)
}

/** The plan in each precision; in bfloat16 where oneDNN computes it here. */
export function plansOf({ plan }: Prepared, { bfloat16, int8 }: Products): Plans | undefined {
  if (plan === undefined) return undefined
  return {
    float32: { ...plan, precision: 'float32' },
    bfloat16: 'products' in bfloat16 ? { ...plan, precision: 'bfloat16', onednn: true } : undefined,
    int8: plan.description.int8 && { ...plan, precision: 'int8', onednn: 'products' in int8 },
  }
}

export type Products = Record<'bfloat16' | 'int8', ProductsReport>

/** How oneDNN computes a plan here. */
export async function productsOf({ plan }: Prepared): Promise<Products> {
  const report = async (precision: keyof Products): Promise<ProductsReport> => {
    if (plan === undefined) return { reason: 'the graph runs uncompiled' }
    if (precision === 'int8' && plan.description.int8 === undefined) return { reason: 'there is no int8 plan' }
    try {
      const { productsBy } = await import('../../model/graph/compile/judge-onednn.ts')
      return { products: await productsBy(plan, precision) }
    } catch (error) {
      return { reason: reasonOf(error) }
    }
  }
  return { bfloat16: await report('bfloat16'), int8: await report('int8') }
}

/** Nothing if float32 tables are asked for. */
export function tablesOf(
  { request: { tables = 'float32' }, verified }: Target,
  { plan }: Prepared,
): { tables?: TablesReport } {
  const rows = plan?.description.tableRows
  if (tables === 'float32' || rows === undefined) return {}
  const { format, verdict, problem } = rows
  const report = { requested: tables, format, verified, tasks: verdict?.tasks ?? [] }
  return { tables: problem === undefined ? report : { ...report, problem } }
}

export function describeInt8({ verified }: Target, { plan, problem }: Prepared, products?: Products): Int8Report {
  if (plan?.description.int8 === undefined) {
    const reason = plan?.description.int8Problem ?? problem ?? 'it was not compiled'
    return { within_limits: false, state: 'impossible', tasks: [], reasons: [reason] }
  }
  // Without a verdict, there were too few rows or they could not be computed.
  const { passed, tasks, reasons } = plan.verdict ?? {
    passed: false,
    tasks: [],
    reasons: [plan.precisionProblem ?? ''],
  }
  const state = verified ? (passed ? 'passed' : 'refused') : 'unverified'
  const by = products?.int8
  const engine = by && ('products' in by ? by.products : `ONNX Runtime (${by.reason})`)
  return { within_limits: passed, state, tasks, reasons, ...(engine && { products: engine }) }
}
