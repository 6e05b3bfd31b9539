import { median } from '../model/base/median.ts'
import { logit } from '../model/compile/int8/judge.ts'
import type { CompiledPlan } from '../model/contracts/compiled-plan.ts'
import type { Batch, Engine, GraphStats, LoadedGraph } from '../model/contracts/engine.ts'
import { drawBatch, redraw } from './rows.ts'
import type { Target } from './target.ts'

/** A way to compute a request. */
export interface Contestant {
  plan: 'exported' | 'float32' | 'int8'
  /** What is new about each request: anything, its context by row, its candidates, or these are known from before. */
  requests: 'any' | 'context by row' | 'new candidates' | 'known candidates'
}

export interface Measurement extends Contestant {
  /** Rows of a request, and requests of a call. */
  rows: number
  requests_per_call: number
  /** Time of a call, µs: of the median call. */
  microseconds: number
  /** How many times as fast as the exported graph: median over rounds. */
  speedup: number
  rows_per_second: number
  /** The graph that most rows went through: of a plan, what was cheapest. */
  way: keyof GraphStats['rows']
  /** Against the exported graph: the largest difference of a probability, of a logit, and its 99th percentile. */
  error: number
  logit_error: number
  logit_error_p99: number
}

export interface MeasureOptions {
  target: Target
  /** The graph's plans, compiled; undefined where it is left alone. */
  plans: { float32: CompiledPlan; int8: CompiledPlan | undefined } | undefined
  engine: Engine
  shape: { rows: number; requests: number }
  /** How long to measure each contestant, s. */
  seconds: number
  random: () => number
  /** Milliseconds. */
  now: () => number
  signal: AbortSignal
}

/** Calls in a row of one contestant, in each round; the first of them find the caches of the processor cold. */
const callsInARow = 12
const coldCalls = 2
const fewestRounds = 5

/** Memory for what is kept of candidates, bytes. */
const candidateBytes = 256 * 1024 * 1024

interface Runner extends Contestant {
  graph: LoadedGraph
  next(): Batch
}

/**
 * Measures every way to compute a target's requests of one shape, in turns: whatever slows the machine slows all of them.
 * Answers are compared before any time is taken.
 */
export async function measure(options: MeasureOptions): Promise<Measurement[]> {
  const { target, plans, engine } = options
  const { source } = target.request
  const graphs: Partial<Record<Contestant['plan'], LoadedGraph>> = {}
  try {
    graphs.exported = await engine.load(source)
    if (plans) graphs.float32 = await engine.load({ ...source, plan: plans.float32, cacheBytes: candidateBytes })
    if (plans?.int8) graphs.int8 = await engine.load({ ...source, plan: plans.int8, cacheBytes: candidateBytes })
    const runners = createRunners(graphs, options)
    const errors: Comparison[] = []
    for (const runner of runners) errors.push(await compareAnswers(runner, graphs.exported, options))
    const times = await takeTimes(runners, options)
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
  for (const plan of ['float32', 'int8'] as const) {
    const graph = compiled[plan]
    const set = plan === 'float32' ? plans?.float32.description.float32 : plans?.int8?.description.int8
    if (graph === undefined || set === undefined) continue
    const whole = hasContext && shape.rows > 1 && set.shared_context !== undefined
    runners.push({ plan, requests: whole ? 'context by row' : 'any', graph, next: draw(whole) })
    if (set.shared_context !== undefined) runners.push({ plan, requests: 'new candidates', graph, next: draw(false) })
    if (set.cached === undefined) continue
    const known = drawBatch(inputs, shape, random)
    const next = () => redraw(inputs, known, shape, ['context', 'cross'], random)
    runners.push({ plan, requests: 'known candidates', graph, next })
  }
  return runners
}

type Comparison = Pick<Measurement, 'error' | 'logit_error' | 'logit_error_p99' | 'way'>

async function compareAnswers(runner: Runner, exported: LoadedGraph, { target }: MeasureOptions): Promise<Comparison> {
  const { output } = target.request
  const differences: number[] = []
  let error = 0
  let way: Comparison['way'] = 'exported'
  // Known candidates are so from the third request on.
  for (let i = 0; i < 6; i++) {
    const batch = runner.next()
    const expected = (await exported.run(batch, [output]))[output]!.slice()
    const before = rowsBy(runner.graph)
    const actual = (await runner.graph.run(batch, [output]))[output]!
    const after = rowsBy(runner.graph)
    way = ways.reduce((most, name) => (after[name] - before[name] > after[most] - before[most] ? name : most))
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
    way,
  }
}

const ways = ['exported', 'full', 'shared_context', 'cached'] as const

function rowsBy(graph: LoadedGraph): GraphStats['rows'] {
  return graph.stats?.().rows ?? { exported: 0, full: 0, shared_context: 0, cached: 0 }
}

/** Per contestant and round the times of its calls, µs. */
async function takeTimes(runners: Runner[], options: MeasureOptions): Promise<number[][][]> {
  const { now, seconds, signal, target } = options
  const wanted = [target.request.output]
  const times: number[][][] = runners.map(() => [])
  const end = now() + seconds * 1000 * runners.length
  for (let round = 0; round < fewestRounds || now() < end; round++)
    for (const [i, { graph, next }] of runners.entries()) {
      signal.throwIfAborted()
      const batches = Array.from({ length: callsInARow }, next)
      const taken: number[] = []
      for (const batch of batches) {
        const started = now()
        await graph.run(batch, wanted)
        taken.push((now() - started) * 1000)
      }
      times[i]!.push(taken.slice(coldCalls))
    }
  return times
}
