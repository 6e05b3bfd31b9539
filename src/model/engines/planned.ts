import type { InferenceSession } from 'onnxruntime-node'
import type { PlanPart, ReadyPlan } from '../compile/plan.ts'
import { type Candidates, createCandidates, type Request } from './candidates.ts'
import type { Batch, GraphStats } from './engine.ts'
import { noCache } from './graph-stats.ts'
import { measureWays } from './measure-ways.ts'
import { sameContext } from './packing.ts'
import { callsOf, costOf, shareOf, totalOf } from './plan-cost.ts'
import { fullCost, joinArrays, openPart, type Part, type Rows, type Way } from './plan-part.ts'

/** A compiled plan in this thread. One call at a time. */
export interface PlannedGraph {
  run(batch: Batch): Promise<Float32Array>
  stats(): GraphStats
  /** Forgets what was counted, and the candidates. */
  reset(): void
  close(): Promise<void>
}

type Ways = { whole: Way; fresh: Way | undefined; candidates: Candidates | undefined }

/**
 * Opens a plan's graphs and learns what they cost here.
 *
 * Each request of a batch goes the way that is cheapest for it: through the whole graph; through `fresh`, its context
 * computed once; or, for candidates that are known from before, through `known`; with others in one call where that is
 * cheaper. A candidate that is asked for a second time is kept.
 *
 * `cacheBytes` bounds what is kept; 0 keeps nothing. Rejects with MODEL_FAILED where a file can't be opened.
 */
export async function openPlan(
  { folder, description, precision, costs }: ReadyPlan,
  options: InferenceSession.SessionOptions,
  cacheBytes: number,
): Promise<PlannedGraph> {
  const set = precision === 'int8' ? description.int8! : description.float32
  const open: Part[] = []
  const close = async () => {
    await Promise.all(open.map(({ session }) => session.release()))
  }
  const openIf = async (part: PlanPart | undefined) => {
    if (part === undefined) return undefined
    const opened = await openPart(folder, part, options)
    open.push(opened)
    return opened
  }
  try {
    const whole = (await openIf(set.whole))!
    const fresh = await openIf(set.fresh)
    const parts = cacheBytes === 0 ? undefined : await openIf(set.parts)
    const context = cacheBytes === 0 ? undefined : await openIf(set.context)
    const known = cacheBytes === 0 ? undefined : await openIf(set.known)
    const candidates = createCandidates({ parts, context, known }, set, cacheBytes)
    const ways = { whole, fresh, parts, known: candidates?.way }
    const entries = Object.entries(ways).flatMap(([name, way]) =>
      way === undefined ? [] : [[name as keyof typeof ways, way] as const],
    )
    let lookUp = costs?.lookUp ?? 0
    if (costs) for (const [name, way] of entries) way.cost = fullCost(way, costs[name])
    else {
      lookUp = candidates?.measure() ?? 0
      await measureWays(entries.map(([, way]) => way))
    }
    return { ...createPlan({ whole, fresh, candidates }, description.output, lookUp), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Requests of so many rows are asked whether a plan is of use at all. */
const usualRows = [1, 4, 16, 64, 256, 1024]

function createPlan(open: Ways, output: string, lookUp: number): Omit<PlannedGraph, 'close'> {
  const { whole } = open
  const rowsBy: GraphStats['rows'] = { exported: 0, whole: 0, fresh: 0, known: 0 }
  const isCheaper = (way: Way, rows: number) => costOf(way.cost, rows) < costOf(whole.cost, rows)
  const fresh = open.fresh && usualRows.some((rows) => isCheaper(open.fresh!, rows)) ? open.fresh : undefined

  /** What rows of a request cost that are computed in full, if each of `requests` goes the way that is cheapest for it. */
  function fullShare(rows: number, requests: number): number {
    const share = shareOf(whole.cost, rows, requests)
    return fresh === undefined ? share : Math.min(share, shareOf(fresh.cost, rows, requests))
  }

  /**
   * Whether it is worth while to look up a request's candidates: a look-up costs more than was measured, since memory is
   * far by then, and is for nothing where the candidate is new.
   */
  const knowingPays = ({ way }: Candidates, rows: number, requests: number) =>
    fullShare(rows, requests) - shareOf(way.cost, rows, requests) > 3 * lookUp * rows
  const candidates =
    open.candidates && usualRows.some((rows) => knowingPays(open.candidates!, rows, 1)) ? open.candidates : undefined
  const known = candidates?.way
  const context = fresh?.context ?? known?.context ?? []
  let everyRow = new Int32Array(0)

  function rangeOf(start: number, count: number): Int32Array {
    if (everyRow.length < start + count) everyRow = Int32Array.from({ length: 2 * (start + count) }, (_, row) => row)
    return everyRow.subarray(start, start + count)
  }

  /** Which requests `fresh` computes; the others go through the whole graph, in one call with `loose` rows. */
  function takeFresh(requests: Int32Array[], loose: number, count: number): Int32Array[] {
    if (fresh === undefined) return []
    const cheaper = requests.filter(
      ({ length }) => shareOf(fresh.cost, length, count) <= shareOf(whole.cost, length, count),
    )
    // A call for a few rows costs more than they do in a call that is made anyway.
    const ways = [cheaper, requests, []]
    const rows = requests.reduce((sum, { length }) => sum + length, loose)
    const costs = ways.map((taken) => {
      const counts = taken.map(({ length }) => length)
      return totalOf(fresh.cost, counts) + costOf(whole.cost, rows - counts.reduce((sum, count) => sum + count, 0))
    })
    return ways[costs.indexOf(Math.min(...costs))]!
  }

  async function run(batch: Batch): Promise<Float32Array> {
    const requests = batch.requests ?? [batch.rows]
    const count = requests.length
    const answer = createAnswer(batch.rows)
    const runIn = async (name: 'whole' | 'fresh' | 'known', way: Way, calls: Rows[][]) => {
      for (const call of calls) {
        const { [output]: values } = await way.run(batch, call)
        const rows = joinArrays(call.map(({ rows }) => rows))
        rowsBy[name] += rows.length
        answer.place(values!.data as Float32Array, rows)
      }
    }

    const looks = (rows: number) => candidates !== undefined && knowingPays(candidates, rows, count)
    if (!requests.some((rows) => looks(rows) || fullShare(rows, count) < shareOf(whole.cost, rows, count))) {
      await runIn('whole', whole, [[{ rows: rangeOf(0, batch.rows) }]])
      return answer.values()
    }

    /** Rows that differ in their context from others of their request. */
    const loose: number[] = []
    const inFull: Int32Array[] = []
    const viaKnown: Request[] = []
    let looked = false
    let start = 0
    for (const rows of requests) {
      if (!sameContext(batch, context, start, rows)) loose.push(...rangeOf(start, rows))
      else {
        let request: Request | undefined
        if (looks(rows)) {
          if (!looked) candidates!.read(batch)
          looked = true
          request = candidates!.look(start, rows)
        }
        // To keep a candidate is an investment: what that costs is not counted.
        const kept = request === undefined ? 0 : request.rows.length + request.seen.length
        const cost = () => shareOf(known!.cost, kept, count) + fullShare(rows - kept, count)
        if (kept > 0 && cost() <= fullShare(rows, count)) viaKnown.push(request!)
        else inFull.push(rangeOf(start, rows))
      }
      start += rows
    }

    await candidates?.keep(batch, viaKnown)
    const kept: Rows[] = []
    for (const { rows, slots, never } of viaKnown) {
      if (rows.length > 0) kept.push({ rows: Int32Array.from(rows), slots: Int32Array.from(slots) })
      if (never.length > 0) inFull.push(Int32Array.from(never))
    }
    const viaFresh = takeFresh(inFull, loose.length, count)
    const together = joinArrays([...inFull.filter((rows) => !viaFresh.includes(rows)), Int32Array.from(loose)])

    if (known && kept.length > 0) await runIn('known', known, callsOf(known, kept))
    if (fresh && viaFresh.length > 0) {
      const calls = callsOf(
        fresh,
        viaFresh.map((rows) => ({ rows })),
      )
      await runIn('fresh', fresh, calls)
    }
    if (together.length > 0) await runIn('whole', whole, [[{ rows: together }]])
    return answer.values()
  }

  return {
    run,
    stats: () => ({ rows: { ...rowsBy }, cache: candidates?.stats() ?? noCache }),
    reset() {
      Object.assign(rowsBy, { exported: 0, whole: 0, fresh: 0, known: 0 })
      candidates?.reset()
    },
  }
}

/** Puts rows computed in several calls in their places; a call that computed all of them in order is the answer itself. */
function createAnswer(total: number) {
  let answer: Float32Array | undefined
  return {
    place(values: Float32Array, rows: ArrayLike<number>): void {
      if (rows.length === total && isInOrder(rows)) {
        answer = values
        return
      }
      const width = values.length / rows.length
      answer ??= new Float32Array(total * width)
      for (let i = 0; i < rows.length; i++)
        for (let j = 0; j < width; j++) answer[rows[i]! * width + j] = values[i * width + j]!
    },
    values: () => answer!,
  }
}

function isInOrder(rows: ArrayLike<number>): boolean {
  for (let i = 0; i < rows.length; i++) if (rows[i] !== i) return false
  return true
}
