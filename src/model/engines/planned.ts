import { join } from 'node:path'
import ort, { type InferenceSession } from 'onnxruntime-node'
import type { PlanPart, ReadyPlan } from '../compile/plan.ts'
import { ModelError, reasonOf } from '../errors.ts'
import { CandidateCache, SEEN } from './candidate-cache.ts'
import type { Batch, GraphStats } from './engine.ts'
import { createPacker, type Packer, sameContext } from './packing.ts'

/** A compiled plan in this thread. One call at a time. */
export interface PlannedGraph {
  run(batch: Batch): Promise<Float32Array>
  stats(): GraphStats
  close(): Promise<void>
}

/** What a call of a plan takes: `a`·rows + `b`, µs. */
interface Cost {
  a: number
  b: number
}

type Name = 'whole' | 'fresh' | 'parts' | 'known'

/** One graph of the plan, open. */
interface Part {
  session: InferenceSession
  context: Packer[]
  rows: Packer[]
  cost: Cost
}

/** Row counts at which costs are measured. */
const measuredRows = [1, 64] as const
const measuredTimes = 5

/**
 * Opens a plan's graphs and learns what they cost here.
 *
 * Each request of a batch goes the way that is cheapest for it: with others through the whole graph; alone through
 * `fresh`, its context computed once; or, for candidates that are known from before, through `known`. A candidate that
 * is asked for a second time is kept.
 *
 * `cacheBytes` bounds what is kept; 0 keeps nothing. `now`: a clock, ms. Rejects with MODEL_FAILED where a file can't be opened.
 */
export async function openPlan(
  { folder, description, precision }: ReadyPlan,
  options: InferenceSession.SessionOptions,
  cacheBytes: number,
  now = () => performance.now(),
): Promise<PlannedGraph> {
  const set = precision === 'int8' ? description.int8! : description.float32
  const { output } = description
  const parts: Partial<Record<Name, Part>> = {}
  try {
    for (const name of ['whole', 'fresh', 'parts', 'known'] as const) {
      const part = set[name]
      if (part === undefined || ((name === 'parts' || name === 'known') && cacheBytes === 0)) continue
      parts[name] = await openPart(folder, part, options)
    }
    const plan = createPlan(parts as Partial<Record<Name, Part>> & { whole: Part }, output, set.widths, cacheBytes)
    await plan.measure(now)
    return plan
  } catch (error) {
    await Promise.all(Object.values(parts).map(({ session }) => session.release()))
    throw error
  }
}

async function openPart(folder: string, part: PlanPart, options: InferenceSession.SessionOptions): Promise<Part> {
  const session = await ort.InferenceSession.create(join(folder, part.file), options).catch((cause) => {
    throw new ModelError('MODEL_FAILED', `the compiled plan's ${part.file} can't be opened: ${reasonOf(cause)}`, {
      cause,
    })
  })
  const typeOf = (name: string) => {
    const input = session.inputMetadata.find((candidate) => candidate.name === name)
    return input?.isTensor ? input : undefined
  }
  const packers = (inputs: PlanPart['rows']) =>
    inputs.flatMap((input) => {
      const metadata = typeOf(input.name)
      // What ends up unused is no input of the session any more.
      return metadata === undefined ? [] : [createPacker(input, metadata.type, metadata.shape.length)]
    })
  return { session, context: packers(part.context), rows: packers(part.rows), cost: { a: 0, b: 0 } }
}

function createPlan(
  parts: Partial<Record<Name, Part>> & { whole: Part },
  output: string,
  widths: number[],
  cacheBytes: number,
) {
  const { whole, fresh, parts: candidates, known } = parts
  const stats: GraphStats['rows'] = { exported: 0, whole: 0, fresh: 0, known: 0 }
  const keyWords = (candidates?.rows ?? []).reduce((sum, packer) => sum + packer.columns.length, 0)
  const cache =
    known && candidates && cacheBytes > 0 ? new CandidateCache({ keyWords, widths, bytes: cacheBytes }) : undefined
  const useCache = cache !== undefined && cache.slots > 0
  const slabs = useCache ? cache.slabs.map((slab, i) => new ort.Tensor('float32', slab, [cache.slots, widths[i]!])) : []
  const context = [...(fresh?.context ?? known?.context ?? [])]
  let keys = new Int32Array(0)
  let everyRow: Int32Array = new Int32Array(0)

  /** The rows `start` … `start + count`. */
  function range(start: number, count: number): Int32Array {
    const rows = new Int32Array(count)
    for (let i = 0; i < count; i++) rows[i] = start + i
    return rows
  }

  async function call(part: Part, feeds: Record<string, ort.Tensor>): Promise<InferenceSession.OnnxValueMapType> {
    return await part.session.run(feeds, { logSeverityLevel: 4 })
  }

  function feed(part: Part, batch: Batch, first: number, rows: Int32Array): Record<string, ort.Tensor> {
    const feeds: Record<string, ort.Tensor> = {}
    for (const packer of part.context) feeds[packer.name] = packer.packRow(batch, first)
    for (const packer of part.rows) feeds[packer.name] = packer.pack(batch, rows)
    return feeds
  }

  async function runRows(part: Part, batch: Batch, rows: Int32Array): Promise<Float32Array> {
    return (await call(part, feed(part, batch, rows[0]!, rows)))[output]!.data as Float32Array
  }

  async function runKnown(batch: Batch, rows: Int32Array, slots: Int32Array): Promise<Float32Array> {
    const feeds = feed(known!, batch, rows[0]!, rows)
    feeds.slots = new ort.Tensor('int32', slots, [slots.length])
    slabs.forEach((slab, i) => {
      feeds[`slab:${i}`] = slab
    })
    return (await call(known!, feeds))[output]!.data as Float32Array
  }

  /** Computes and keeps the candidates' parts of rows, each in its slot. */
  async function fill(batch: Batch, rows: Int32Array, slots: Int32Array): Promise<void> {
    try {
      const results = await call(candidates!, feed(candidates!, batch, rows[0]!, rows))
      widths.forEach((width, part) => {
        const values = results[`part:${part}`]!.data as Float32Array
        const slab = cache!.slabs[part]!
        for (let i = 0; i < rows.length; i++) slab.set(values.subarray(i * width, (i + 1) * width), slots[i]! * width)
      })
    } catch (error) {
      for (const slot of slots) cache!.invalidate(slot)
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

  function look(start: number, count: number): Request {
    const request: Request = { start, count, rows: [], slots: [], seen: [], never: [] }
    if (!useCache) return request
    for (let row = start; row < start + count; row++) {
      const slot = cache.find(keys, row)
      if (slot >= 0) {
        request.rows.push(row)
        request.slots.push(slot)
      } else if (slot === SEEN) request.seen.push(row)
      else request.never.push(row)
    }
    return request
  }

  function readKeys(batch: Batch): void {
    if (!useCache) return
    if (keys.length < batch.rows * keyWords) keys = new Int32Array(batch.rows * keyWords)
    let column = 0
    for (const packer of candidates!.rows) {
      packer.writeBits(batch, 0, batch.rows, keys, keyWords, column)
      column += packer.columns.length
    }
    cache.begin()
  }

  /** Gives the candidates of `seen` rows slots, and `never` rows those that duplicates got; answers what to fill. */
  function claim(requests: Request[]): Map<number, number> {
    const toFill = new Map<number, number>()
    for (const request of requests)
      for (const row of request.seen) {
        const present = cache!.peek(keys, row)
        const slot = present >= 0 ? present : cache!.claim(keys, row)
        if (slot < 0) {
          request.never.push(row)
          continue
        }
        if (present < 0) toFill.set(slot, row)
        request.rows.push(row)
        request.slots.push(slot)
      }
    if (toFill.size === 0) return toFill
    for (const request of requests)
      request.never = request.never.filter((row) => {
        const slot = cache!.peek(keys, row)
        if (slot < 0) return true
        request.rows.push(row)
        request.slots.push(slot)
        return false
      })
    return toFill
  }

  async function run(batch: Batch): Promise<Float32Array> {
    if (fresh === undefined && !useCache) return wholeOnly(batch)
    readKeys(batch)
    const costOf = ({ a, b }: Cost, rows: number) => (rows === 0 ? 0 : a * rows + b)
    const freshCost = (rows: number) => (fresh === undefined ? Number.POSITIVE_INFINITY : costOf(fresh.cost, rows))
    /** Rows that go through the whole graph, all in one call. */
    const together: number[] = []
    const wholeCost = (rows: number) =>
      rows === 0 ? 0 : whole.cost.a * rows + (together.length === 0 ? whole.cost.b : 0)
    const addTogether = (start: number, count: number) => {
      for (let i = 0; i < count; i++) together.push(start + i)
    }
    const viaKnown: Request[] = []
    const viaFresh: Int32Array[] = []
    let start = 0
    for (const count of batch.requests ?? [batch.rows]) {
      if (sameContext(batch, context, start, count)) {
        const request = look(start, count)
        // To keep a candidate is an investment: what that costs is not counted.
        const kept = request.rows.length + request.seen.length
        const rest = count - kept
        const others = Math.min(wholeCost(count), freshCost(count))
        const mixed = kept === 0 ? others : costOf(known!.cost, kept) + Math.min(wholeCost(rest), freshCost(rest))
        if (kept > 0 && mixed <= others) viaKnown.push(request)
        else if (freshCost(count) < wholeCost(count)) viaFresh.push(range(start, count))
        else addTogether(start, count)
      } else addTogether(start, count)
      start += count
    }
    if (together.length === batch.rows) return wholeOnly(batch)

    let answer: Float32Array | undefined
    const place = (values: Float32Array, rows: ArrayLike<number>) => {
      if (rows.length === batch.rows) {
        let inOrder = true
        for (let i = 0; i < rows.length && inOrder; i++) inOrder = rows[i] === i
        if (inOrder) {
          answer = values
          return
        }
      }
      const width = values.length / rows.length
      answer ??= new Float32Array(batch.rows * width)
      for (let i = 0; i < rows.length; i++)
        for (let j = 0; j < width; j++) answer[rows[i]! * width + j] = values[i * width + j]!
    }
    if (viaKnown.length > 0) {
      const toFill = claim(viaKnown)
      if (toFill.size > 0) await fill(batch, Int32Array.from(toFill.values()), Int32Array.from(toFill.keys()))
    }
    for (const { rows, slots, never } of viaKnown) {
      if (rows.length > 0) {
        stats.known += rows.length
        place(await runKnown(batch, Int32Array.from(rows), Int32Array.from(slots)), rows)
      }
      if (never.length === 0) continue
      if (freshCost(never.length) < wholeCost(never.length)) viaFresh.push(Int32Array.from(never))
      else together.push(...never)
    }
    for (const rows of viaFresh) {
      stats.fresh += rows.length
      place(await runRows(fresh!, batch, rows), rows)
    }
    if (together.length > 0) {
      stats.whole += together.length
      place(await runRows(whole, batch, Int32Array.from(together)), together)
    }
    return answer!
  }

  async function wholeOnly(batch: Batch): Promise<Float32Array> {
    stats.whole += batch.rows
    if (everyRow.length < batch.rows) everyRow = range(0, batch.rows)
    return runRows(whole, batch, everyRow.subarray(0, batch.rows))
  }

  /** Learns what a row and a call of each graph cost, by running them on zeros. */
  async function measure(now: () => number): Promise<void> {
    for (const [name, part] of Object.entries(parts) as [Name, Part][]) {
      // Where too few slots fit there are no slabs either.
      if (name === 'known' && !useCache) continue
      const times: number[] = []
      for (const rows of measuredRows) {
        const batch = zeros(part, rows)
        const index = range(0, rows)
        let best = Number.POSITIVE_INFINITY
        for (let i = 0; i < measuredTimes; i++) {
          const started = now()
          if (name === 'known') await runKnown(batch, index, new Int32Array(rows))
          else await call(part, feed(part, batch, 0, index))
          best = Math.min(best, (now() - started) * 1000)
        }
        times.push(best)
      }
      const a = Math.max(0, (times[1]! - times[0]!) / (measuredRows[1] - measuredRows[0]))
      part.cost = { a, b: Math.max(0, times[0]! - a) }
    }
  }

  return {
    run,
    measure,
    stats: (): GraphStats => ({
      rows: { ...stats },
      cache: cache?.stats() ?? { hits: 0, misses: 0, entries: 0, evictions: 0, bytes: 0 },
    }),
    async close() {
      await Promise.all(Object.values(parts).map(({ session }) => session.release()))
    },
  }
}

/** A batch of zeros with every input of a part. */
function zeros(part: Part, rows: number): Batch {
  const inputs: Batch['inputs'] = {}
  for (const { input, width, type } of [...part.context, ...part.rows]) {
    // Two packers may take columns of one input.
    const size = Math.max(rows * width, inputs[input]?.length ?? 0)
    inputs[input] = type === 'float32' ? new Float32Array(size) : new Int32Array(size)
  }
  return { rows, inputs }
}
