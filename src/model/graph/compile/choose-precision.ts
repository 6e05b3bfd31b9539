import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../../base/errors.ts'
import { inputsOf, tensorOf } from '../../../base/onnxruntime.ts'
import { processorTitle } from '../../../base/processor.ts'
import { type CompiledPlan, exactGraph, filesOf, type Precision, type Verdict } from '../../contracts/compiled-plan.ts'
import {
  compareLogits,
  type JudgedRows,
  judgedLogits,
  judgedProbabilities,
  logit,
  nearestLimit,
  passesClearly,
} from '../int8/judge.ts'
import { type InputRows, openSession } from '../int8/observe-ranges.ts'
import { planNames } from '../sides/tensor-names.ts'
import { checkInt8, judgeBfloat16 } from './judge-onednn.ts'
import { graphFeeds } from './test-graphs.ts'

type Stored = Pick<CompiledPlan, 'folder' | 'description' | 'origin'>

/** How a precision does on this machine. */
export interface Judged {
  verdict: Verdict
  products: string
  onednn: boolean
}

/** Compares the answers of a precision with float32's. Rejects with the reason where it can't be computed here. */
export async function judge(
  precision: Exclude<Precision, 'float32'>,
  { folder, description }: Pick<CompiledPlan, 'folder' | 'description'>,
  rows: JudgedRows,
): Promise<Judged> {
  if (precision === 'bfloat16') return { ...(await judgeBfloat16({ folder, description }, rows)), onednn: true }
  if (description.int8 === undefined) throw new Error(description.int8Problem ?? 'int8 was not compiled')
  const answers = await judgedProbabilities(folder, description.int8.full, rows)
  const verdict = compareLogits(await judgedLogits(folder, exactGraph(description), rows), answers.map(logit), rows)
  try {
    return { verdict, products: await checkInt8({ folder, description }, rows, answers), onednn: true }
  } catch (error) {
    return { verdict, products: `ONNX Runtime (${reasonOf(error)})`, onednn: false }
  }
}

/** The precision that `precision: auto` takes, and why. */
export type Choice = Partial<Judged> & { precision: Precision; choice: string }

/** Precisions that are judged, in this order. */
const rounding = ['int8', 'bfloat16'] as const

/** Rows of the measured request; calls of each precision, of which the fastest counts, after those that fill caches. */
const measuredRows = 64
const timedCalls = 15
const coldCalls = 5

/** A less exact precision takes at most this part of the time of the more exact one. */
const worthwhile = 0.9
/**
 * Time that a request takes besides, µs: its way to a worker and back. Where a call takes hardly longer, a precision
 * that is faster saves nothing, and float32 may need no worker at all.
 */
const besides = 50
const byExactness = ['float32', 'bfloat16', 'int8'] as const

/**
 * The fastest precision on this machine among those that pass their check with a margin. The first choice is kept
 * beside the plan: all processes take the same, and so does the next start.
 */
export async function choosePrecision(stored: Stored, rows: JudgedRows): Promise<Choice> {
  const passed = new Map<Precision, Judged>()
  const refused: string[] = []
  for (const precision of rounding)
    try {
      const judged = await judge(precision, stored, rows)
      if (passesClearly(judged.verdict)) passed.set(precision, judged)
      else refused.push(`${precision} does not clearly pass its check: ${nearestLimit(judged.verdict)}`)
    } catch (error) {
      refused.push(`${precision} can't be served: ${reasonOf(error)}`)
    }
  if (passed.size === 0) return { precision: 'float32', choice: refused.join('; ') }
  const { precision, reason } = await choose('auto', stored, passed, rows)
  return { ...passed.get(precision), precision, choice: [reason, ...refused].join('; ') }
}

/** Float32, and why, where this precision is no faster on this machine. Kept as `choosePrecision` keeps its choice. */
export async function orFloat32(
  wanted: Exclude<Precision, 'float32'>,
  judged: Judged,
  stored: Stored,
  rows: InputRows,
): Promise<Choice | undefined> {
  const { precision, reason } = await choose(wanted, stored, new Map([[wanted, judged]]), rows)
  return precision === wanted ? undefined : { precision, choice: reason }
}

/**
 * The fastest of float32 and those that passed. Where versions share a plan, each precision that they ask for has a
 * choice of its own.
 */
async function choose(
  asked: Precision | 'auto',
  stored: Stored,
  passed: ReadonlyMap<Precision, Judged>,
  rows: InputRows,
): Promise<Kept> {
  const machine = JSON.stringify([
    processorTitle(),
    process.version,
    [...passed].map(([name, { products }]) => [name, products]),
  ])
  const file = stored.origin === 'temporary' ? undefined : join(stored.folder, `precision-${asked}.json`)
  const servable = (precision: Precision) => precision === 'float32' || passed.has(precision)
  const kept = await readKept(file, machine, servable)
  if (kept !== undefined) return kept
  const times = await measure(stored, passed, rows)
  return keep(file, { machine, precision: fastest(times), reason: formatTimes(times) }, servable)
}

/** µs of a call. */
type Times = ReadonlyMap<Precision, number>

/** The fastest by the time of a call, µs; the more exact one where another saves less than a tenth of a request. */
export function fastest(times: Times): Precision {
  const known = byExactness.filter((precision) => times.has(precision))
  const total = (precision: Precision) => times.get(precision)! + besides
  return known.reduce((best, precision) => (total(precision) <= worthwhile * total(best) ? precision : best))
}

function formatTimes(times: Times): string {
  const float32 = times.get('float32')! + besides
  const parts = [...times].flatMap(([precision, time]) =>
    precision === 'float32' ? [] : [`${precision} takes ${((time + besides) / float32).toFixed(2)}`],
  )
  return `of float32's time for a request of ${measuredRows} candidates (${Math.round(float32)} µs, of which ${besides} for its way to a worker and back), ${parts.join(', ')}`
}

/** Times of a request, µs, in the graph that computes its context once, if there is one, or else in the full one. */
async function measure(stored: Stored, passed: ReadonlyMap<Precision, Judged>, rows: InputRows): Promise<Times> {
  const graphs = new Map<Precision, TimedGraph>()
  const best = new Map<Precision, number>()
  try {
    graphs.set('float32', await openTimed(stored, 'float32', false, rows))
    for (const [precision, { onednn }] of passed)
      graphs.set(precision, await openTimed(stored, precision, onednn, rows))
    for (let call = 0; call < coldCalls + timedCalls; call++)
      for (const [precision, { run }] of graphs) {
        const begun = performance.now()
        await run()
        const time = (performance.now() - begun) * 1000
        if (call >= coldCalls) best.set(precision, Math.min(best.get(precision) ?? Number.POSITIVE_INFINITY, time))
      }
    return best
  } finally {
    for (const { close } of graphs.values()) await close()
  }
}

/** A graph with the inputs of a request. */
interface TimedGraph {
  run(): Promise<unknown>
  close(): Promise<void>
}

async function openTimed(
  { folder, description }: Stored,
  precision: Precision,
  onednn: boolean,
  rows: InputRows,
): Promise<TimedGraph> {
  const { full, shared_context: shared } = filesOf({ description, precision })
  const file = shared ?? full
  const request = [measuredRows]
  if (onednn && precision !== 'float32') {
    const { openProgram } = await import('../onednn/open-program.ts')
    const program = await openProgram(folder, file, { precision, requests: planNames.requests })
    if (typeof program === 'object') {
      const feeds = graphFeeds(program.inputs, file, rows, request)
      const values = program.inputs.map(({ name }) => feeds[name]!)
      return { run: () => program.run(values), close: () => program.close() }
    }
  }
  const session = await openSession(join(folder, file.file))
  const feeds = Object.entries(graphFeeds(inputsOf(session), file, rows, request))
  const tensors = Object.fromEntries(feeds.map(([name, value]) => [name, tensorOf(value)]))
  return { run: () => session.run(tensors), close: () => session.release() }
}

interface Kept {
  /** The processor, version of Node.js and libraries that were measured. */
  machine: string
  precision: Precision
  reason: string
}

type Servable = (precision: Precision) => boolean

/** A choice that was kept, if it is of this machine, and can be served. Never rejects. */
async function readKept(file: string | undefined, machine: string, servable: Servable): Promise<Kept | undefined> {
  if (file === undefined) return undefined
  try {
    const kept: Kept = JSON.parse(await readFile(file, 'utf8'))
    return kept.machine === machine && servable(kept.precision) ? kept : undefined
  } catch {
    return undefined
  }
}

/** Keeps a choice, unless another process was faster: its choice is taken then. Never rejects. */
async function keep(file: string | undefined, choice: Kept, servable: Servable): Promise<Kept> {
  if (file === undefined) return choice
  try {
    await writeFile(file, `${JSON.stringify(choice)}\n`, { flag: 'wx' })
    return choice
  } catch {
    const other = await readKept(file, choice.machine, servable)
    // One of another machine, or that can't be served, is replaced.
    if (other === undefined) await writeFile(file, `${JSON.stringify(choice)}\n`).catch(() => undefined)
    return other ?? choice
  }
}
