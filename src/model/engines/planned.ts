import type { InferenceSession } from 'onnxruntime-node'
import type { ReadyPlan } from '../compile/plan.ts'
import { type Candidates, createCandidates, type Request } from './candidates.ts'
import type { Batch, GraphStats } from './engine.ts'
import { noCache } from './graph-stats.ts'
import { sameContext } from './packing.ts'
import { callsOf, costOf, shareOf, totalOf } from './plan-cost.ts'
import { fullCost, joinRows, measureParts, openPart, type Part, runPart } from './plan-part.ts'

/** A compiled plan in this thread. One call at a time. */
export interface PlannedGraph {
  run(batch: Batch): Promise<Float32Array>
  stats(): GraphStats
  /** Forgets what was counted, and the candidates. */
  reset(): void
  close(): Promise<void>
}

type Name = 'whole' | 'fresh' | 'parts' | 'known'
type Parts = Partial<Record<Name, Part>> & { whole: Part }

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
  const open: Partial<Record<Name, Part>> = {}
  const close = async () => {
    await Promise.all(Object.values(open).map(({ session }) => session.release()))
  }
  try {
    for (const name of ['whole', 'fresh', 'parts', 'known'] as const) {
      const part = set[name]
      if (part === undefined || ((name === 'parts' || name === 'known') && cacheBytes === 0)) continue
      open[name] = await openPart(folder, part, options)
    }
    const parts = open as Parts
    const candidates = createCandidates(parts.parts, parts.known, set.widths, cacheBytes)
    // Without room for a few candidates there are no slabs to run it with.
    const entries = (Object.entries(parts) as [Name, Part][]).filter(([name]) => name !== 'known' || candidates)
    let lookUp = costs?.lookUp ?? 0
    if (costs) for (const [name, part] of entries) part.cost = fullCost(part, costs[name])
    else {
      lookUp = candidates?.measure() ?? 0
      await measureParts(
        entries.map(([name, part]) => ({
          part,
          more: (rows) => (name === 'known' && candidates ? candidates.feeds(new Int32Array(rows)) : {}),
        })),
      )
    }
    return { ...createPlan(parts, description.output, candidates, lookUp), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Rows of one request, or of any in the whole graph; of known candidates with where each is kept. */
interface Rows {
  rows: Int32Array
  slots?: Int32Array
}

/** Requests of so many rows are asked whether a plan is of use at all. */
const usualRows = [1, 4, 16, 64, 256, 1024]

function createPlan(
  parts: Parts,
  output: string,
  known: Candidates | undefined,
  lookUp: number,
): Omit<PlannedGraph, 'close'> {
  const { whole } = parts
  const rowsBy: GraphStats['rows'] = { exported: 0, whole: 0, fresh: 0, known: 0 }
  const isCheaper = (part: Part, rows: number) => costOf(part.cost, rows) < costOf(whole.cost, rows)
  const fresh = parts.fresh && usualRows.some((rows) => isCheaper(parts.fresh!, rows)) ? parts.fresh : undefined

  /** What rows of a request cost that are computed in full, if each of `requests` goes the way that is cheapest for it. */
  function fullShare(rows: number, requests: number): number {
    const share = shareOf(whole.cost, rows, requests)
    return fresh === undefined ? share : Math.min(share, shareOf(fresh.cost, rows, requests))
  }

  /**
   * Whether it is worth while to look up a request's candidates: a look-up costs more than was measured, since memory is
   * far by then, and is for nothing where the candidate is new.
   */
  const knowingPays = (rows: number, requests: number) =>
    fullShare(rows, requests) - shareOf(parts.known!.cost, rows, requests) > 3 * lookUp * rows
  const candidates = known !== undefined && usualRows.some((rows) => knowingPays(rows, 1)) ? known : undefined
  const context = fresh?.context ?? (candidates ? parts.known!.context : [])
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
    /** Runs requests in the calls in which they cost least. */
    const runIn = async (way: 'whole' | 'fresh' | 'known', calls: Rows[][]) => {
      for (const call of calls) {
        const rows = call.map(({ rows }) => rows)
        const slots = call.flatMap(({ slots }) => slots ?? [])
        const more = way === 'known' ? candidates!.feeds(joinRows(slots)) : {}
        const { [output]: values } = await runPart(parts[way]!, batch, rows, more)
        const all = joinRows(rows)
        rowsBy[way] += all.length
        answer.place(values!.data as Float32Array, all)
      }
      return answer
    }

    const looks = (rows: number) => candidates !== undefined && knowingPays(rows, count)
    if (!requests.some((rows) => looks(rows) || fullShare(rows, count) < shareOf(whole.cost, rows, count)))
      return (await runIn('whole', [[{ rows: rangeOf(0, batch.rows) }]])).values()

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
        const cost = () => shareOf(parts.known!.cost, kept, count) + fullShare(rows - kept, count)
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
    const together = joinRows([...inFull.filter((rows) => !viaFresh.includes(rows)), Int32Array.from(loose)])

    if (kept.length > 0) await runIn('known', callsOf(parts.known!.cost, kept))
    if (viaFresh.length > 0)
      await runIn(
        'fresh',
        callsOf(
          fresh!.cost,
          viaFresh.map((rows) => ({ rows })),
        ),
      )
    if (together.length > 0) await runIn('whole', [[{ rows: together }]])
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
