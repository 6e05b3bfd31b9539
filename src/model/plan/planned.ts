import type { InferenceSession } from 'onnxruntime-node'
import { concat } from '../base/concat.ts'
import type { CompiledPlan, VariantFile } from '../contracts/compiled-plan.ts'
import type { Batch, GraphStats } from '../contracts/engine.ts'
import { noCache } from '../contracts/graph-stats.ts'
import { type Candidates, createCandidates, type Request } from './candidates.ts'
import { measureWays } from './measure-variants.ts'
import { sameContext } from './packing.ts'
import { callsOf, costOf, shareOf, totalOf } from './plan-cost.ts'
import { fullCost, openPart } from './plan-graph.ts'
import type { OpenVariant, RequestRows, Variant } from './variant.ts'

/** A compiled plan in this thread. One call at a time. */
export interface PlannedGraph {
  run(batch: Batch): Promise<Float32Array>
  stats(): GraphStats
  /** Forgets what was counted, and the candidates. */
  reset(): void
  close(): Promise<void>
}

type Ways = { whole: Variant; fresh: Variant | undefined; candidates: Candidates | undefined }

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
  { folder, description, precision, costs }: CompiledPlan,
  options: InferenceSession.SessionOptions,
  cacheBytes: number,
): Promise<PlannedGraph> {
  const set = precision === 'int8' ? description.int8! : description.float32
  const open: OpenVariant[] = []
  const close = async () => {
    await Promise.all(open.map(({ session }) => session.release()))
  }
  const openIf = async (part: VariantFile | undefined) => {
    if (part === undefined) return undefined
    const opened = await openPart(folder, part, options)
    open.push(opened)
    return opened
  }
  try {
    const whole = (await openIf(set.full))!
    const fresh = await openIf(set.shared_context)
    const parts = cacheBytes === 0 ? undefined : await openIf(set.candidate_encoder)
    const context = cacheBytes === 0 ? undefined : await openIf(set.context_encoder)
    const known = cacheBytes === 0 ? undefined : await openIf(set.cached)
    const candidates = createCandidates({ parts, context, known }, set, cacheBytes)
    const ways = { full: whole, shared_context: fresh, candidate_encoder: parts, cached: candidates?.way }
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

/** Where look-ups have not paid lately, one batch of so many is looked up all the same: what comes may have changed. */
const triedBatches = 8
/** So many rows for each that can be kept, looked up lately, tell what share of candidates is known. */
const rowsBySlot = 2

function createPlan(open: Ways, output: string, lookUp: number): Omit<PlannedGraph, 'close'> {
  const { whole } = open
  const rowsBy: GraphStats['rows'] = { exported: 0, full: 0, shared_context: 0, cached: 0 }
  const isCheaper = (way: Variant, rows: number) => costOf(way.cost, rows) < costOf(whole.cost, rows)
  const fresh = open.fresh && usualRows.some((rows) => isCheaper(open.fresh!, rows)) ? open.fresh : undefined
  /** A look-up costs more than was measured, since memory is far by then. */
  const lookUpCost = 3 * lookUp
  const candidates =
    open.candidates &&
    usualRows.some((rows) => costOf(open.candidates!.way.cost, rows) + lookUpCost * rows < divide([rows]).cost)
      ? open.candidates
      : undefined
  const known = candidates?.way
  const context = fresh?.context ?? known?.context ?? []
  /** The share of candidates that were found, or shall be, when they were looked up lately; at first, hope. */
  let knownShare = 1
  let batches = 0
  let everyRow = new Int32Array(0)

  function rangeOf(start: number, count: number): Int32Array {
    if (everyRow.length < start + count) everyRow = Int32Array.from({ length: 2 * (start + count) }, (_, row) => row)
    return everyRow.subarray(start, start + count)
  }

  /**
   * Which requests, of so many rows, are best computed by `fresh`, and what all of them cost then; the others go through the
   * whole graph, in one call with `loose` rows.
   */
  function divide(requests: readonly number[], loose = 0): { viaFresh: readonly boolean[]; cost: number } {
    const wholeCost = (others: readonly number[]) =>
      costOf(
        whole.cost,
        others.reduce((sum, rows) => sum + rows, loose),
      )
    let best = { viaFresh: requests.map(() => false), cost: wholeCost(requests) }
    if (fresh === undefined) return best
    const cheaper = requests.map(
      (rows) => shareOf(fresh.cost, rows, requests.length) <= shareOf(whole.cost, rows, requests.length),
    )
    // A call for a few rows costs more than they do in one that is made anyway.
    for (const viaFresh of [cheaper, requests.map(() => true)]) {
      const taken = requests.filter((_, i) => viaFresh[i])
      const cost = totalOf(fresh.cost, taken) + wholeCost(requests.filter((_, i) => !viaFresh[i]))
      if (cost < best.cost) best = { viaFresh, cost }
    }
    return best
  }

  /** Whether it is worth while to look up the candidates of requests of so many rows, which cost so much in full. */
  function looks(requests: readonly number[], cost: number): boolean {
    if (known === undefined) return false
    const total = requests.reduce((sum, rows) => sum + rows, 0)
    const pays = (share: number) => {
      const part = (share: number) => requests.map((rows) => rows * share)
      // Where few are of one kind, often there is none.
      const found = (1 - (1 - share) ** total) * totalOf(known.cost, part(share))
      const rest = share === 1 ? 0 : (1 - share ** total) * divide(part(1 - share)).cost
      return found + rest + lookUpCost * total < cost
    }
    const mostGain = cost - totalOf(known.cost, requests)
    if (mostGain <= lookUpCost * total) return false
    if (batches++ % triedBatches === 0) return true
    return knownShare * mostGain > lookUpCost * total && pays(knownShare)
  }

  /** Which requests whose candidates were looked up have their known ones computed as such; remembers how many there were. */
  function takeKnown(requests: Request[]): Request[] {
    if (known === undefined || requests.length === 0) return []
    // To keep a candidate is an investment: what that costs is not counted.
    const keptOf = ({ rows, seen }: Request) => rows.length + seen.length
    const rows = requests.reduce((sum, { count }) => sum + count, 0)
    const found = requests.reduce((sum, request) => sum + keptOf(request), 0)
    knownShare += (rows / (rows + rowsBySlot * candidates!.slots)) * (found / rows - knownShare)

    const { length } = requests
    const fullShare = (rows: number) =>
      Math.min(shareOf(whole.cost, rows, length), fresh ? shareOf(fresh.cost, rows, length) : Number.POSITIVE_INFINITY)
    const kept = requests.map((request) => {
      const kept = keptOf(request)
      const cost = shareOf(known.cost, kept, length) + fullShare(request.count - kept)
      return cost <= fullShare(request.count) ? kept : 0
    })
    const rest = requests.map(({ count }, i) => count - kept[i]!)
    // A call of its own for a few rows costs more than they save.
    const cost = totalOf(known.cost, kept) + divide(rest).cost
    return cost <= divide(requests.map(({ count }) => count)).cost ? requests.filter((_, i) => kept[i]! > 0) : []
  }

  async function run(batch: Batch): Promise<Float32Array> {
    const requests = batch.requests ?? [batch.rows]
    const answer = createAnswer(batch.rows)
    const runIn = async (name: 'full' | 'shared_context' | 'cached', way: Variant, calls: RequestRows[][]) => {
      for (const call of calls) {
        const { [output]: values } = await way.run(batch, call)
        const rows = concat(
          Int32Array,
          call.map(({ rows }) => rows),
        )
        rowsBy[name] += rows.length
        answer.place(values!.data as Float32Array, rows)
      }
    }

    const inFullAll = divide(requests)
    const looked = looks(requests, inFullAll.cost)
    if (!looked && !inFullAll.viaFresh.includes(true)) {
      await runIn('full', whole, [[{ rows: rangeOf(0, batch.rows) }]])
      return answer.values()
    }
    if (looked) candidates!.read(batch)

    /** Rows that differ in their context from others of their request. */
    const loose: number[] = []
    const inFull: Int32Array[] = []
    const lookedUp: Request[] = []
    let start = 0
    for (const rows of requests) {
      if (!sameContext(batch, context, start, rows)) loose.push(...rangeOf(start, rows))
      else if (looked) lookedUp.push(candidates!.look(start, rows))
      else inFull.push(rangeOf(start, rows))
      start += rows
    }
    const viaKnown = takeKnown(lookedUp)
    const taken = new Set(viaKnown)
    for (const request of lookedUp) if (!taken.has(request)) inFull.push(rangeOf(request.start, request.count))

    await candidates?.keep(batch, viaKnown)
    const kept: RequestRows[] = []
    for (const { rows, slots, never } of viaKnown) {
      if (rows.length > 0) kept.push({ rows: Int32Array.from(rows), slots: Int32Array.from(slots) })
      if (never.length > 0) inFull.push(Int32Array.from(never))
    }
    const { viaFresh } = divide(
      inFull.map(({ length }) => length),
      loose.length,
    )
    const inFresh = inFull.flatMap((rows, i) => (viaFresh[i] ? [{ rows }] : []))
    const together = concat(Int32Array, [...inFull.filter((_, i) => !viaFresh[i]), Int32Array.from(loose)])

    if (known && kept.length > 0) await runIn('cached', known, callsOf(known, kept))
    if (fresh && inFresh.length > 0) await runIn('shared_context', fresh, callsOf(fresh, inFresh))
    if (together.length > 0) await runIn('full', whole, [[{ rows: together }]])
    return answer.values()
  }

  return {
    run,
    stats: () => ({ rows: { ...rowsBy }, cache: candidates?.stats() ?? noCache }),
    reset() {
      Object.assign(rowsBy, { exported: 0, full: 0, shared_context: 0, cached: 0 })
      candidates?.reset()
      knownShare = 1
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
