import { rm } from 'node:fs/promises'
import { median } from '../../base/arrays.ts'
import { makeTemporaryFolder } from '../../base/process-folders.ts'
import { formatBytes, formatError, formatTable, grouped } from '../../base/terminal.ts'
import type { CompiledPlan, PassReport } from '../../model/contracts/compiled-plan.ts'
import type { Batch } from '../../model/contracts/engine.ts'
import { createOnnxEngine } from '../../model/engines/onnx/onnx.ts'
import { compile } from '../../model/graph/compile/compile.ts'
import type { CompiledGraph, Plans } from '../../model/graph/compile/compiled-graph.ts'
import { passReport } from '../../model/graph/compile/optimise.ts'
import { prepareInThread } from '../../model/graph/compile/prepare-in-thread.ts'
import { feedsOf, openSession } from '../../model/graph/int8/observe-ranges.ts'
import { settleTables } from '../../model/graph/ir/external-data.ts'
import type { Graph } from '../../model/graph/ir/graph.ts'
import { readGraph } from '../../model/graph/lower/read-graph.ts'
import type { VariantGraph } from '../../model/graph/sides/split-graphs.ts'
import { chosenPrecision, refusedPrecision } from '../../model/serving/prediction/describe-plan.ts'
import {
  type BenchOptions,
  describeInt8,
  dispose,
  type Int8Report,
  notesOf,
  plansOf,
  prepareBoth,
  productsOf,
  type TablesReport,
  tablesOf,
} from './bench.ts'
import { formatInt8, formatMeasurements, formatTables } from './bench-report.ts'
import { type Measurement, measure } from './measure.ts'
import { drawBatch } from './rows.ts'
import type { Target } from './target.ts'

/** The effect of a pass. */
export interface MeasuredPass extends PassReport {
  /** Median time of a call with the report's rows before and after the pass, µs; equal for the first pass. */
  microseconds_before: number
  microseconds: number
  /** Largest difference of a probability from the saved graph. */
  error: number
}

/** One graph of the plan. */
export interface PlanSize extends Omit<PassReport, 'pass' | 'changes' | 'left'> {
  precision: 'float32' | 'int8'
  graph: 'full' | 'shared context' | 'candidate encoder' | 'context encoder' | 'cached'
}

export interface CompileReport {
  target: string
  /** The plan's folder; undefined if it could not be stored or the graph is not compiled. */
  kept: string | undefined
  compiled: boolean
  seconds: number
  /** The precision to be served, and notes such as why the graph is not compiled or not split by side. */
  precision: string
  notes: string[]
  /** With int8 precision, or with `report`. */
  int8?: Int8Report
  /** If the manifest asks for another format of large tables than float32. */
  tables?: TablesReport
  /** With `report`. */
  details?: { rows: number; passes: MeasuredPass[]; plans: PlanSize[]; measurements: Measurement[] }
}

export interface CompileReportOptions extends Pick<BenchOptions, 'random' | 'now' | 'signal' | 'progress'> {
  /** Folder of compiled plans. */
  cache?: string | undefined
  report: boolean
  /** Rows of the request that measures passes. */
  rows: number
}

/** Calls of one graph per round, of which the first run with cold caches, and the number of rounds. */
const callsInARow = 8
const coldCalls = 2
const rounds = 6

type Session = Awaited<ReturnType<typeof openSession>>

/** Compiles a target into the cache; with `report`, describes and measures each pass. */
export async function reportCompile(target: Target, options: CompileReportOptions): Promise<CompileReport> {
  const { cache, now, progress } = options
  progress(`compiling ${target.name}`)
  const started = now()
  const prepared = await prepareInThread({ ...target.request, cache, now: Date.now() })
  await dispose(prepared)
  const { plan } = prepared
  const seconds = (now() - started) / 1000
  const both = options.report ? await prepareBoth(target) : prepared
  try {
    return {
      target: target.name,
      kept: plan !== undefined && plan.origin !== 'temporary' ? plan.folder : undefined,
      compiled: plan !== undefined,
      seconds,
      precision: plan?.precision ?? 'float32',
      notes: [...notesOf(prepared), ...(plan === undefined ? [] : precisionNotes(plan, target))],
      ...(options.report || target.request.precision === 'int8' ? { int8: describeInt8(target, both) } : {}),
      ...tablesOf(target, prepared),
      ...(options.report && both.plan !== undefined
        ? { details: await detail(target, plansOf(both, await productsOf(both)), options) }
        : {}),
    }
  } finally {
    await dispose(both)
  }
}

/** Notes on the outcome of the requested precision; that of int8 is in its own report. */
function precisionNotes(plan: CompiledPlan, { request: { precision } }: Target): string[] {
  return [
    ...chosenPrecision(plan, precision),
    ...(precision === 'int8' ? [] : refusedPrecision(plan, precision)),
    ...(plan.products === undefined ? [] : [`products by ${plan.products}`]),
  ]
}

async function detail(
  target: Target,
  plans: ReturnType<typeof plansOf>,
  options: CompileReportOptions,
): Promise<NonNullable<CompileReport['details']>> {
  const { rows, random, now, signal, progress } = options
  const { quantization } = target
  const { source, output, sides, fields, tables = 'float32' } = target.request
  const batch = drawBatch(target.inputs, { rows, requests: 1 }, random)

  /** All graphs stay open, to be measured in turns. */
  const stages: { report: PassReport; session: Session }[] = []
  async function watch(report: PassReport, graph: Graph): Promise<void> {
    stages.push({ report, session: await openSession(graph.copy().toBytes(), graph.folder) })
  }
  const graph = await readGraph(source, output)
  const scratch = await makeTemporaryFolder('compile')
  let compiled: CompiledGraph
  let passes: MeasuredPass[]
  try {
    await settleTables(graph, scratch)
    const narrow = tables !== 'float32' && { tables: { format: tables, judged: quantization?.judged } }
    compiled = await compile(graph, { sides, fields, quantization, watch, ...narrow })
    progress(`measuring the passes of ${target.name}`)
    passes = await measureStages(stages, batch, options)
  } finally {
    await Promise.all(stages.map(({ session }) => session.release()))
    await rm(scratch, { recursive: true, force: true })
  }
  progress(`measuring ${target.name}`)
  const engine = await createOnnxEngine({ threads: 1 })
  const shape = { rows, requests: 1 }
  const measurements = await measure({ target, plans, engine, shape, seconds: 0.5, random, now, signal })
  return { rows, passes, plans: sizesOf(compiled), measurements }
}

/** Measures each graph in turns, so that a busy machine slows all of them equally. */
async function measureStages(
  stages: { report: PassReport; session: Session }[],
  batch: Batch,
  { now, signal }: CompileReportOptions,
): Promise<MeasuredPass[]> {
  const times: number[][] = stages.map(() => [])
  const answers: Float32Array[] = []
  for (let round = 0; round < rounds; round++)
    for (const [i, { session }] of stages.entries()) {
      signal.throwIfAborted()
      const feeds = feedsOf(session, batch, 0, batch.rows)
      for (let call = 0; call < callsInARow; call++) {
        const started = now()
        const results = await session.run(feeds)
        if (call >= coldCalls) times[i]!.push((now() - started) * 1000)
        answers[i] = results[session.outputNames[0]!]!.data as Float32Array
      }
    }
  const medians = times.map(median)
  return stages.map(({ report }, i) => ({
    ...report,
    microseconds_before: medians[Math.max(0, i - 1)]!,
    microseconds: medians[i]!,
    error: answers[i]!.reduce((most, value, row) => Math.max(most, Math.abs(value - answers[0]![row]!)), 0),
  }))
}

function sizesOf({ float32, int8 }: CompiledGraph): PlanSize[] {
  return [...sizes('float32', float32), ...(int8 === undefined ? [] : sizes('int8', int8))]
}

function sizes(precision: PlanSize['precision'], { full, split }: Plans): PlanSize[] {
  const all: [PlanSize['graph'], VariantGraph | undefined][] = [['full', full]]
  if (typeof split !== 'string')
    all.push(
      ['shared context', split.shared_context],
      ['candidate encoder', split.candidate_encoder],
      ['context encoder', split.context_encoder],
      ['cached', split.cached],
    )
  return all.flatMap(([name, plan]) => {
    if (plan === undefined) return []
    const { nodes, multiplications, multiplications_once, bytes } = passReport(plan.graph, name, 0)
    return [{ precision, graph: name, nodes, multiplications, multiplications_once, bytes }]
  })
}

/** The report as text. */
export function formatCompile(report: CompileReport): string {
  const { target, compiled, kept, seconds, notes, int8, tables, details } = report
  const where = kept === undefined ? 'could not be stored' : `stored in ${kept}`
  return [
    compiled ? `${target}: ${formatsOf(report)}, ${where}; took ${seconds.toFixed(1)} s` : `${target}: not compiled`,
    ...notes,
    ...(int8 === undefined ? [] : [formatInt8(int8)]),
    ...(tables === undefined ? [] : [formatTables(tables)]),
    ...(details === undefined ? [] : formatDetails(details)),
  ].join('\n')
}

function formatsOf({ precision, tables }: CompileReport): string {
  return tables === undefined ? precision : `${precision}, ${tables.format} tables`
}

/** A multiplication and an addition. */
const flops = 2

function formatDetails({ rows, passes, plans, measurements }: NonNullable<CompileReport['details']>): string[] {
  const passRows = passes.map(
    ({ pass, changes, nodes, multiplications, bytes, microseconds_before, microseconds, error }) => [
      pass,
      grouped(changes),
      grouped(nodes),
      grouped(multiplications * flops),
      formatBytes(bytes),
      `${grouped(microseconds_before)} → ${grouped(microseconds)}`,
      formatError(error),
    ],
  )
  const left = passes.flatMap(({ pass, left }) => left.map((place) => `  ${pass}: ${place}`))
  const planRows = plans.map(({ precision, graph, nodes, multiplications, multiplications_once, bytes }) => [
    precision,
    graph,
    grouped(nodes),
    grouped(multiplications * flops),
    grouped(multiplications_once * flops),
    formatBytes(bytes),
  ])
  return [
    '',
    formatTable(['pass', 'changes', 'nodes', 'FLOPs per row', 'constants', `µs (${rows} rows)`, 'max |Δp|'], passRows),
    ...(left.length === 0 ? [] : ['', 'unchanged:', ...left]),
    '',
    formatTable(['plan', 'graph', 'nodes', 'FLOPs per row', 'FLOPs per request', 'constants'], planRows, 2),
    '',
    ...formatMeasurements(measurements),
  ]
}
