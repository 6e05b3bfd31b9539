import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { feedsOf, openSession } from '../model/compile/calibrate.ts'
import { type CompiledGraph, compile, type Plans } from '../model/compile/compile.ts'
import type { Graph } from '../model/compile/graph.ts'
import { describe, type PassReport } from '../model/compile/optimise.ts'
import type { PlanGraph } from '../model/compile/passes/split-sides.ts'
import { readGraph } from '../model/compile/read-graph.ts'
import { settleTables } from '../model/compile/tables.ts'
import { createOnnxEngine } from '../model/engines/onnx.ts'
import { type BenchOptions, describeInt8, type Int8Report, plansOf, prepareBoth } from './bench.ts'
import { type Measurement, measure, median } from './measure.ts'
import { drawBatch } from './rows.ts'
import type { Target } from './target.ts'

/** What a pass did, and what it was worth. */
export interface MeasuredPass extends PassReport {
  /** Time of a call over the report's rows before and after it, µs; before the first, its own. */
  before: number
  microseconds: number
  /** Largest difference of a probability from the saved graph's. */
  error: number
}

/** One graph of the plan. */
export interface PlanSize extends Omit<PassReport, 'pass' | 'changes' | 'left'> {
  precision: 'float32' | 'int8'
  graph: 'whole' | 'new candidates' | "candidates' parts" | 'known candidates'
}

export interface CompileReport {
  target: string
  /** Where the plan is; undefined where the graph is left alone. */
  folder: string | undefined
  origin: 'compiled' | 'cached' | 'temporary' | undefined
  seconds: number
  /** What is served, and why the graph is left alone, isn't taken apart by side, or whatever should be known. */
  precision: string
  notes: string[]
  int8: Int8Report
  /** With `report`. */
  details?: { rows: number; passes: MeasuredPass[]; plans: PlanSize[]; measurements: Measurement[] }
}

export interface CompileReportOptions extends Pick<BenchOptions, 'cache' | 'random' | 'now' | 'signal' | 'progress'> {
  report: boolean
  /** Rows of the request that passes are measured with. */
  rows: number
}

/** Calls of which the median is taken; the first ones find caches cold. */
const calls = 40
const coldCalls = 5

/** Compiles a target into the cache; with `report` says what each pass did. */
export async function reportCompile(target: Target, options: CompileReportOptions): Promise<CompileReport> {
  const { cache, now, progress } = options
  progress(`compiling ${target.name}`)
  const started = now()
  const prepared = await prepareBoth(target, cache)
  const { plan, problem, warnings } = prepared
  const seconds = (now() - started) / 1000
  const int8 = describeInt8(target, prepared)
  const unsplit = plan?.description.float32.unsplit
  return {
    target: target.name,
    folder: plan?.folder,
    origin: plan?.origin,
    seconds,
    precision: target.request.precision === 'int8' && int8.state === 'passed' ? 'int8' : 'float32',
    notes: [
      ...warnings,
      ...(problem === undefined ? [] : [`the graph runs as it was saved: ${problem}`]),
      ...(unsplit === undefined ? [] : [`it is not taken apart by side: ${unsplit}`]),
    ],
    int8,
    ...(options.report && plan !== undefined ? { details: await detail(target, plansOf(prepared), options) } : {}),
  }
}

async function detail(
  target: Target,
  plans: ReturnType<typeof plansOf>,
  options: CompileReportOptions,
): Promise<NonNullable<CompileReport['details']>> {
  const { rows, random, now, signal, progress } = options
  const { source, output, sides, fields, quantization } = target.request
  const batch = drawBatch(target.inputs, { rows, requests: 1 }, random)
  const passes: MeasuredPass[] = []
  let expected: Float32Array | undefined

  async function watch(report: PassReport, graph: Graph): Promise<void> {
    progress(`measuring ${report.pass}`)
    signal.throwIfAborted()
    const { answers, microseconds } = await run(graph, batch, now)
    expected ??= answers
    const error = answers.reduce((most, value, i) => Math.max(most, Math.abs(value - expected![i]!)), 0)
    passes.push({ ...report, before: passes.at(-1)?.microseconds ?? microseconds, microseconds, error })
  }
  const graph = await readGraph(source, output)
  const scratch = await mkdtemp(join(tmpdir(), 'multigate-compile-'))
  let compiled: CompiledGraph
  try {
    await settleTables(graph, scratch)
    compiled = await compile(graph, { sides, fields, quantization, watch })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  progress(`measuring ${target.name}`)
  const engine = await createOnnxEngine({ threads: 1 })
  const shape = { rows, requests: 1 }
  const measurements = await measure({ target, plans, engine, shape, seconds: 0.5, random, now, signal })
  return { rows, passes, plans: sizesOf(compiled), measurements }
}

async function run(
  graph: Graph,
  batch: { rows: number; inputs: Record<string, Int32Array | Float32Array> },
  now: () => number,
) {
  const session = await openSession(graph.copy().toBytes(), graph.folder)
  try {
    const feeds = feedsOf(session, batch, 0, batch.rows)
    const times: number[] = []
    let answers = new Float32Array()
    for (let i = 0; i < calls; i++) {
      const started = now()
      const results = await session.run(feeds)
      times.push((now() - started) * 1000)
      answers = results[session.outputNames[0]!]!.data as Float32Array<ArrayBuffer>
    }
    return { answers, microseconds: median(times.slice(coldCalls)) }
  } finally {
    await session.release()
  }
}

function sizesOf({ float32, int8 }: CompiledGraph): PlanSize[] {
  return [...sizes('float32', float32), ...(int8 === undefined ? [] : sizes('int8', int8))]
}

function sizes(precision: PlanSize['precision'], { whole, split }: Plans): PlanSize[] {
  const all: [PlanSize['graph'], PlanGraph | undefined][] = [['whole', whole]]
  if (typeof split !== 'string')
    all.push(['new candidates', split.fresh], ["candidates' parts", split.parts], ['known candidates', split.known])
  return all.flatMap(([name, plan]) => {
    if (plan === undefined) return []
    const { nodes, multiplications, multiplicationsOnce, bytes } = describe(plan.graph, name, 0)
    return [{ precision, graph: name, nodes, multiplications, multiplicationsOnce, bytes }]
  })
}
