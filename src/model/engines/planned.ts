import ort, { type InferenceSession } from 'onnxruntime-node'
import type { ReadyPlan } from '../compile/plan.ts'
import { CandidateCache, SEEN } from './candidate-cache.ts'
import type { Batch, GraphStats } from './engine.ts'
import { type Packer, sameContext } from './packing.ts'
import { costOf, measureParts, openPart, type Part, runPart } from './plan-part.ts'

/** A compiled plan in this thread. One call at a time. */
export interface PlannedGraph {
  run(batch: Batch): Promise<Float32Array>
  stats(): GraphStats
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
    const candidates = createCandidates(parts, set.widths, cacheBytes)
    // Without room for a few candidates there are no slabs to run it with.
    const entries = (Object.entries(parts) as [Name, Part][]).filter(([name]) => name !== 'known' || candidates)
    if (costs) for (const [name, part] of entries) part.cost = costs[name]
    else
      await measureParts(
        entries.map(([name, part]) => ({
          part,
          more: (rows) => (name === 'known' && candidates ? candidates.feeds(new Int32Array(rows)) : {}),
        })),
      )
    return { ...createPlan(parts, description.output, candidates), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** A request of the batch, and what is known of its candidates. */
interface Request {
  start: number
  count: number
  /** Rows whose candidate is kept or shall be kept, and where. */
  rows: number[]
  slots: number[]
  /** Rows whose candidate was asked for before: to be kept from now on. */
  seen: number[]
  never: number[]
}

/** Requests of so many rows are asked whether a plan is of use at all. */
const usualRows = [1, 4, 16, 64, 256, 1024]

function createPlan(parts: Parts, output: string, known: Candidates | undefined): Omit<PlannedGraph, 'close'> {
  const { whole } = parts
  const rowsBy: GraphStats['rows'] = { exported: 0, whole: 0, fresh: 0, known: 0 }
  const wholeCost = (rows: number) => costOf(whole.cost, rows)
  const isCheaper = (part: Part, rows: number) => costOf(part.cost, rows) < wholeCost(rows)
  const fresh = parts.fresh && usualRows.some((rows) => isCheaper(parts.fresh!, rows)) ? parts.fresh : undefined
  const freshCost = (rows: number) => (fresh === undefined ? Number.POSITIVE_INFINITY : costOf(fresh.cost, rows))
  const knownCost = (rows: number) => costOf(parts.known!.cost, rows)
  /** Whether to know all candidates of a request of so many rows would make it cheaper. */
  const knowingPays = (rows: number) => knownCost(rows) < Math.min(wholeCost(rows), freshCost(rows))
  const candidates = known !== undefined && usualRows.some(knowingPays) ? known : undefined
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
    if (requests.every((count) => !(freshCost(count) < wholeCost(count) || (candidates && knowingPays(count)))))
      return runWhole(batch, rangeOf(0, batch.rows))

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
        Math.min(freshCost(rows), together.length > 0 ? whole.cost.a * rows : wholeCost(rows))
      if (!sameContext(batch, context, start, count)) together.push(...rows)
      else {
        let request: Request | undefined
        if (candidates && knowingPays(count)) {
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
    stats: () => ({ rows: { ...rowsBy }, cache: known?.stats() ?? noCache }),
  }
}

const noCache: GraphStats['cache'] = { hits: 0, misses: 0, entries: 0, evictions: 0, bytes: 0 }

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

type Candidates = ReturnType<typeof createCandidates> & {}

/** The candidates' parts of the first layer that are kept; undefined where there are none, or no room for them. */
function createCandidates({ parts, known }: Parts, widths: number[], bytes: number) {
  if (parts === undefined || known === undefined) return undefined
  const keyWords = parts.rows.reduce((sum, { columns }) => sum + columns.length, 0)
  const cache = new CandidateCache({ keyWords, widths, bytes })
  if (cache.slots === 0) return undefined
  const slabs = Object.fromEntries(
    cache.slabs.map((slab, i) => [`slab:${i}`, new ort.Tensor('float32', slab, [cache.slots, widths[i]!])]),
  )
  let keys = new Int32Array(0)

  /** Computes and keeps the parts of rows, each in its slot. */
  async function fill(part: Part, batch: Batch, rows: Int32Array, slots: Int32Array): Promise<void> {
    try {
      const results = await runPart(part, batch, rows)
      widths.forEach((width, i) => {
        const values = results[`part:${i}`]!.data as Float32Array
        const slab = cache.slabs[i]!
        for (let row = 0; row < rows.length; row++)
          slab.set(values.subarray(row * width, (row + 1) * width), slots[row]! * width)
      })
    } catch (error) {
      for (const slot of slots) cache.invalidate(slot)
      throw error
    }
  }

  /** Gives the candidates of `seen` rows slots; answers what to fill: row by slot. */
  function claim(requests: Request[]): Map<number, number> {
    const toFill = new Map<number, number>()
    for (const request of requests)
      for (const row of request.seen) {
        const present = cache.peek(keys, row)
        const slot = present >= 0 ? present : cache.claim(keys, row)
        if (slot < 0) request.never.push(row)
        else {
          if (present < 0) toFill.set(slot, row)
          request.rows.push(row)
          request.slots.push(slot)
        }
      }
    return toFill
  }

  return {
    /** What `known` takes beside the batch. */
    feeds: (slots: Int32Array): Record<string, ort.Tensor> => ({
      ...slabs,
      slots: new ort.Tensor('int32', slots, [slots.length]),
    }),

    /** Begins a call: reads the keys of its rows. */
    read(batch: Batch): void {
      if (keys.length < batch.rows * keyWords) keys = new Int32Array(batch.rows * keyWords)
      writeKeys(parts.rows, batch, keys, keyWords)
      cache.begin()
    },

    look(start: number, count: number): Request {
      const request: Request = { start, count, rows: [], slots: [], seen: [], never: [] }
      for (let row = start; row < start + count; row++) {
        const slot = cache.find(keys, row)
        if (slot >= 0) {
          request.rows.push(row)
          request.slots.push(slot)
        } else if (slot === SEEN) request.seen.push(row)
        else request.never.push(row)
      }
      return request
    },

    /** Keeps what was asked for before: in the requests, `seen` rows become `rows`, and so do those like them. */
    async keep(batch: Batch, requests: Request[]): Promise<void> {
      const toFill = claim(requests)
      if (toFill.size === 0) return
      for (const request of requests)
        request.never = request.never.filter((row) => {
          const slot = cache.peek(keys, row)
          if (slot < 0) return true
          request.rows.push(row)
          request.slots.push(slot)
          return false
        })
      await fill(parts, batch, Int32Array.from(toFill.values()), Int32Array.from(toFill.keys()))
    },

    stats: () => cache.stats(),
  }
}

function writeKeys(packers: Packer[], batch: Batch, keys: Int32Array, keyWords: number): void {
  let column = 0
  for (const packer of packers) {
    packer.writeBits(batch, 0, batch.rows, keys, keyWords, column)
    column += packer.columns.length
  }
}
