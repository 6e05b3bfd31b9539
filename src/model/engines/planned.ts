import type { InferenceSession } from 'onnxruntime-node'
import type { ReadyPlan } from '../compile/plan.ts'
import { type Candidates, createCandidates, type Request } from './candidates.ts'
import type { Batch, GraphStats } from './engine.ts'
import { noCache } from './graph-stats.ts'
import { sameContext } from './packing.ts'
import { costOf, measureParts, openPart, type Part, runPart } from './plan-part.ts'

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
 * Each request of a batch goes the way that is cheapest for it: with others through the whole graph; alone through
 * `fresh`, its context computed once; or, for candidates that are known from before, through `known`. A candidate that
 * is asked for a second time is kept.
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
    if (costs) for (const [name, part] of entries) part.cost = costs[name]
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
  const wholeCost = (rows: number) => costOf(whole.cost, rows)
  const isCheaper = (part: Part, rows: number) => costOf(part.cost, rows) < wholeCost(rows)
  const fresh = parts.fresh && usualRows.some((rows) => isCheaper(parts.fresh!, rows)) ? parts.fresh : undefined
  const freshCost = (rows: number) => (fresh === undefined ? Number.POSITIVE_INFINITY : costOf(fresh.cost, rows))
  const knownCost = (rows: number) => costOf(parts.known!.cost, rows)
  /**
   * Whether it is worth while to look up a request's candidates: a look-up costs more than was measured, since memory is
   * far by then, and is for nothing where the candidate is new.
   */
  const knowingPays = (rows: number, whole: number) =>
    Math.min(whole, freshCost(rows)) - knownCost(rows) > 3 * lookUp * rows
  const candidates =
    known !== undefined && usualRows.some((rows) => knowingPays(rows, wholeCost(rows))) ? known : undefined
  const context = fresh?.context ?? (candidates ? parts.known!.context : [])
  let everyRow = new Int32Array(0)

  function rangeOf(start: number, count: number): Int32Array {
    if (everyRow.length < start + count) everyRow = Int32Array.from({ length: 2 * (start + count) }, (_, row) => row)
    return everyRow.subarray(start, start + count)
  }

  async function runWhole(batch: Batch, rows: Int32Array): Promise<Float32Array> {
    rowsBy.whole += rows.length
    return (await runPart(whole, batch, rows))[output]!.data as Float32Array
  }

  async function run(batch: Batch): Promise<Float32Array> {
    const requests = batch.requests ?? [batch.rows]
    /** What a request's rows cost in one call with those of all others: its rows, and its share of the call. */
    const sharedCost = (rows: number) => whole.cost.a * rows + whole.cost.b / requests.length
    const goesAlone = (count: number) =>
      freshCost(count) < sharedCost(count) || (candidates && knowingPays(count, sharedCost(count)))
    if (!requests.some(goesAlone)) return runWhole(batch, rangeOf(0, batch.rows))

    /** Rows that go through the whole graph, all in one call. */
    const together: number[] = []
    const viaKnown: Request[] = []
    const viaFresh: Int32Array[] = []
    let looked = false
    let start = 0
    for (const count of requests) {
      const rows = rangeOf(start, count)
      /** What the rows cost that are computed in full; the others in that call have paid for it already. */
      const fullCost = (rows: number) =>
        Math.min(freshCost(rows), together.length > 0 ? whole.cost.a * rows : sharedCost(rows))
      if (!sameContext(batch, context, start, count)) together.push(...rows)
      else {
        let request: Request | undefined
        if (candidates && knowingPays(count, sharedCost(count))) {
          if (!looked) candidates.read(batch)
          looked = true
          request = candidates.look(start, count)
        }
        // To keep a candidate is an investment: what that costs is not counted.
        const kept = request === undefined ? 0 : request.rows.length + request.seen.length
        if (kept > 0 && knownCost(kept) + fullCost(count - kept) <= fullCost(count)) viaKnown.push(request!)
        else if (freshCost(count) <= fullCost(count)) viaFresh.push(rows)
        else together.push(...rows)
      }
      start += count
    }
    if (together.length === batch.rows) return runWhole(batch, rangeOf(0, batch.rows))

    const answer = createAnswer(batch.rows)
    await candidates?.keep(batch, viaKnown)
    for (const { rows, slots, never } of viaKnown) {
      if (rows.length > 0) {
        rowsBy.known += rows.length
        const values = await runPart(
          parts.known!,
          batch,
          Int32Array.from(rows),
          candidates!.feeds(Int32Array.from(slots)),
        )
        answer.place(values[output]!.data as Float32Array, rows)
      }
      if (never.length === 0) continue
      if (freshCost(never.length) < wholeCost(never.length)) viaFresh.push(Int32Array.from(never))
      else together.push(...never)
    }
    for (const rows of viaFresh) {
      rowsBy.fresh += rows.length
      answer.place((await runPart(fresh!, batch, rows))[output]!.data as Float32Array, rows)
    }
    if (together.length > 0) answer.place(await runWhole(batch, Int32Array.from(together)), together)
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
