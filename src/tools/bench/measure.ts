import { median } from '../../base/arrays.ts'
import { type CompiledPlan, filesOf, type Precision } from '../../model/contracts/compiled-plan.ts'
import type { Batch, Engine, GraphStats, LoadedGraph } from '../../model/contracts/engine.ts'
import { logit } from '../../model/graph/int8/judge.ts'
import { cacheEvictor } from './processor-caches.ts'
import { drawBatch, redraw, type Shape } from './rows.ts'
import type { Target } from './target.ts'

/** The compiled plans of a graph, by precision; undefined where it has none. */
export type Plans = { float32: CompiledPlan } & Partial<Record<'bfloat16' | 'int8', CompiledPlan | undefined>>

const precisions = ['float32', 'bfloat16', 'int8'] as const

/** A plan and a kind of request. */
export interface Contestant {
  plan: 'exported' | Precision
  /** The changes between requests: anything, the context of each row, the candidates, or only the context. */
  requests: 'any' | 'context per row' | 'new candidates' | 'cached candidates'
}

export interface Measurement extends Contestant {
  /** Rows per request, and requests per call. */
  rows: number
  requests_per_call: number
  /** Median time of a call, µs: of several in a row. */
  microseconds: number
  /** The same, µs, each after other memory has gone through the processor's caches. */
  cold_microseconds: number
  /** Speed relative to the exported graph: median over rounds. */
  speedup: number
  rows_per_second: number
  /** The graph variant that computed most rows: the cheapest of the plan. */
  variant: keyof GraphStats['rows']
  /** Differences from the exported graph: largest of a probability, largest of a logit, 99th percentile of a logit. */
  error: number
  logit_error: number
  logit_error_p99: number
}

export interface MeasureOptions {
  target: Target
  /** The compiled plans; undefined if the graph is not compiled. */
  plans: Plans | undefined
  engine: Engine
  shape: Shape
  /** Time to measure each contestant, s. */
  seconds: number
  random: () => number
  /** Milliseconds. */
  now: () => number
  signal: AbortSignal
}

/** Calls of one contestant per round. The first ones find what others left in the processor's caches: not counted. */
const callsInARow = 12
const uncounted = 2
/** Calls of each contestant after all rounds, each with emptied caches: to empty them takes longer than many calls. */
const coldCalls = 7
const fewestRounds = 5

/** Memory for cached candidates, bytes. */
const candidateBytes = 256 * 1024 * 1024

interface Runner extends Contestant {
  graph: LoadedGraph
  next(): Batch
}

/**
 * Measures every contestant on requests of one shape, in turns, so that a busy machine slows all of them equally.
 * Answers are compared before anything is timed.
 */
export async function measure(options: MeasureOptions): Promise<Measurement[]> {
  const { target, plans, engine } = options
  const { source } = target.request
  const graphs: Partial<Record<Contestant['plan'], LoadedGraph>> = {}
  try {
    graphs.exported = await engine.load(source)
    for (const precision of precisions) {
      const plan = plans?.[precision]
      if (plan) graphs[precision] = await engine.load({ ...source, plan, cacheBytes: candidateBytes })
    }
    const runners = createRunners(graphs, options)
    const errors: Comparison[] = []
    for (const runner of runners) errors.push(await compareAnswers(runner, graphs.exported, options))
    const times = await takeTimes(runners, options)
    const cold = await takeColdTimes(runners, options)
    const exported = times[0]!
    const total = options.shape.rows * options.shape.requests
    return runners.map(({ plan, requests }, i) => {
      const microseconds = median(times[i]!.flat())
      const ratios = times[i]!.map((round, r) => median(exported[r]!) / median(round))
      return {
        plan,
        requests,
        rows: options.shape.rows,
        requests_per_call: options.shape.requests,
        microseconds,
        cold_microseconds: median(cold[i]!),
        speedup: median(ratios),
        rows_per_second: (total / microseconds) * 1e6,
        ...errors[i]!,
      }
    })
  } finally {
    for (const graph of Object.values(graphs)) await graph.close()
  }
}

function createRunners(
  { exported, ...compiled }: Partial<Record<Contestant['plan'], LoadedGraph>>,
  { target, shape, random, plans }: MeasureOptions,
): Runner[] {
  const { inputs } = target
  const draw = (byRow: boolean) => () => drawBatch(inputs, shape, random, byRow)
  const hasContext = inputs.some(({ sides }) => sides.includes('context'))
  const runners: Runner[] = [{ plan: 'exported', requests: 'any', graph: exported!, next: draw(false) }]
  for (const plan of precisions) {
    const graph = compiled[plan]
    const own = plans?.[plan]
    if (graph === undefined || own === undefined) continue
    const set = filesOf(own)
    const perRow = hasContext && shape.rows > 1 && set.shared_context !== undefined
    runners.push({ plan, requests: perRow ? 'context per row' : 'any', graph, next: draw(perRow) })
    if (set.shared_context !== undefined) runners.push({ plan, requests: 'new candidates', graph, next: draw(false) })
    if (set.cached === undefined) continue
    const cached = drawBatch(inputs, shape, random)
    const next = () => redraw(inputs, cached, shape, ['context', 'cross'], random)
    runners.push({ plan, requests: 'cached candidates', graph, next })
  }
  return runners
}

type Comparison = Pick<Measurement, 'error' | 'logit_error' | 'logit_error_p99' | 'variant'>

async function compareAnswers(runner: Runner, exported: LoadedGraph, { target }: MeasureOptions): Promise<Comparison> {
  const { output } = target.request
  const differences: number[] = []
  let error = 0
  let variant: Comparison['variant'] = 'exported'
  // Candidates are cached from the third request on.
  for (let i = 0; i < 6; i++) {
    const batch = runner.next()
    const expected = (await exported.run(batch, [output]))[output]!.slice()
    const before = rowsBy(runner.graph)
    const actual = (await runner.graph.run(batch, [output]))[output]!
    const after = rowsBy(runner.graph)
    variant = variants.reduce((most, name) => (after[name] - before[name] > after[most] - before[most] ? name : most))
    expected.forEach((value, i) => {
      error = Math.max(error, Math.abs(value - actual[i]!))
      differences.push(Math.abs(logit(value) - logit(actual[i]!)))
    })
  }
  differences.sort((a, b) => a - b)
  return {
    error,
    logit_error: differences.at(-1)!,
    logit_error_p99: differences[Math.floor((differences.length - 1) * 0.99)]!,
    variant,
  }
}

const variants = ['exported', 'full', 'shared_context', 'cached'] as const

function rowsBy(graph: LoadedGraph): GraphStats['rows'] {
  return graph.stats?.().rows ?? { exported: 0, full: 0, shared_context: 0, cached: 0 }
}

/** Times of calls, µs: [contestant][round][call]. */
async function takeTimes(runners: Runner[], options: MeasureOptions): Promise<number[][][]> {
  const { now, seconds, signal } = options
  const times: number[][][] = runners.map(() => [])
  const end = now() + seconds * 1000 * runners.length
  for (let round = 0; round < fewestRounds || now() < end; round++)
    for (const [i, runner] of runners.entries()) {
      signal.throwIfAborted()
      const batches = Array.from({ length: callsInARow }, runner.next)
      const taken: number[] = []
      for (const batch of batches) taken.push(await timeCall(runner, batch, options))
      times[i]!.push(taken.slice(uncounted))
    }
  return times
}

/** Times of calls with cold processor caches, µs: [contestant][call]. */
async function takeColdTimes(runners: Runner[], options: MeasureOptions): Promise<number[][]> {
  const evictCaches = cacheEvictor()
  const times: number[][] = runners.map(() => [])
  for (let call = 0; call < coldCalls; call++)
    for (const [i, runner] of runners.entries()) {
      options.signal.throwIfAborted()
      const batch = runner.next()
      evictCaches()
      times[i]!.push(await timeCall(runner, batch, options))
    }
  return times
}

async function timeCall({ graph }: Runner, batch: Batch, { now, target }: MeasureOptions): Promise<number> {
  const started = now()
  await graph.run(batch, [target.request.output])
  return (now() - started) * 1000
}
