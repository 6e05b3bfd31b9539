import { ModelError, reasonOf } from '../base/errors.ts'
import { onnxruntime } from '../base/onnxruntime.ts'
import { planNames } from '../compile/sides/tensor-names.ts'
import type { LayerParts, VariantFiles } from '../contracts/compiled-plan.ts'
import type { Batch } from '../contracts/engine.ts'
import { CandidateCache, SEEN } from './candidate-cache.ts'
import type { Packer } from './packing.ts'
import { createRowMemory, mostBytes, type RowMemory, type RowMemoryOptions, slotWidth } from './row-memory.ts'
import type { OpenVariant, Variant } from './variant.ts'

/** A request of the batch, and what is known of its candidates. */
export interface Request {
  start: number
  count: number
  /** Rows whose candidate is kept or shall be kept, and where. */
  rows: number[]
  slots: number[]
  /** Rows whose candidate was asked for before: to be kept from now on. */
  seen: number[]
  never: number[]
}

export type Candidates = ReturnType<typeof createCandidates> & {}

/** What may be kept at most, bytes: as much as a memory holds, but for what a call needs in it. */
const mostKept = mostBytes - 2 ** 29
/** What a call may need in it, bytes, and how many rows are computed at once at most. */
const callBytes = 2 ** 28
const mostRows = 2048

/** The candidates' parts of the first layer that are kept; undefined where there are none, or no room for them. */
export function createCandidates(
  { parts, context, known }: Record<'parts' | 'context' | 'known', OpenVariant | undefined>,
  { layers }: Pick<VariantFiles, 'layers'>,
  bytes: number,
) {
  if (parts === undefined || known === undefined) return undefined
  const keyWords = parts.rows.reduce((sum, { columns }) => sum + columns.length, 0)
  const cache = new CandidateCache({ keyWords, width: slotWidth(layers), bytes: Math.min(bytes, mostKept) })
  const { slots } = cache
  if (slots === 0) return undefined
  // A row's sums, and a context's part for each.
  const rowBytes = 8 * slotWidth(layers)
  const rows = Math.max(1, Math.min(mostRows, Math.floor(callBytes / rowBytes)))
  const memory = createMemory({ layers, slots, mostRows: rows })
  let keys = new Int32Array(0)
  let counted = cache.stats()

  /** Computes and keeps the parts of rows, each in its slot. */
  async function fill(part: OpenVariant, batch: Batch, rows: Int32Array, slots: Int32Array): Promise<void> {
    try {
      const results = await part.run(batch, [{ rows }])
      memory.keep(
        slots,
        layers.map((_, layer) => results[planNames.part(layer)]!.data as Float32Array),
      )
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
    /** Candidates that can be kept. */
    slots,
    /** Computes rows of candidates that are kept. */
    way: knownWay(context, known, layers, memory),

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

    stats: () => {
      const { hits, misses, evictions, ...kept } = cache.stats()
      return {
        ...kept,
        hits: hits - counted.hits,
        misses: misses - counted.misses,
        evictions: evictions - counted.evictions,
      }
    },

    /** Forgets all candidates, and what was counted. */
    reset(): void {
      cache.clear()
      counted = cache.stats()
    },

    /** What it takes to look up a candidate, µs. */
    measure(): number {
      const times: number[] = []
      keys = new Int32Array(measuredLookUps * keyWords)
      // The first time around, memory is touched that the system has not given yet.
      for (const timed of [false, true]) {
        let word = 1
        for (let round = 0; round < lookUpRounds; round++) {
          for (let i = 0; i < keys.length; i++) keys[i] = word = (Math.imul(word, 1664525) + 1013904223) | 0
          cache.begin()
          const started = performance.now()
          this.look(0, measuredLookUps)
          if (timed) times.push(((performance.now() - started) * 1000) / measuredLookUps)
        }
      }
      this.reset()
      return times.sort((a, b) => a - b)[lookUpRounds >> 1]!
    },
  }
}

function createMemory(options: RowMemoryOptions): RowMemory {
  try {
    return createRowMemory(options)
  } catch (cause) {
    const message = `there is no memory for candidates (MULTIGATE_CANDIDATE_CACHE_BYTES=0 keeps none): ${reasonOf(cause)}`
    throw new ModelError('MODEL_FAILED', message, { cause })
  }
}

/** Candidates that are looked up at once, and how often, to measure what that takes; the median counts. */
const measuredLookUps = 128
const lookUpRounds = 31

/** Adds the contexts' part to what is kept of candidates, and computes the rest. */
function knownWay(
  context: OpenVariant | undefined,
  known: OpenVariant,
  layers: readonly LayerParts[],
  memory: RowMemory,
): Variant {
  return {
    context: context?.context ?? [],
    rows: known.rows,
    byRequest: context !== undefined,
    mostRows: memory.mostRows,
    cost: known.cost,
    async run(batch, requests) {
      const contexts = await context?.run(
        batch,
        requests.map(({ rows }) => ({ rows: rows.subarray(0, 1) })),
      )
      const sums = memory.add(
        requests.map(({ slots }) => slots!),
        (contexts?.[planNames.contexts]?.data as Float32Array | undefined) ?? new Float32Array(0),
      )
      const feeds = sums.map((values, layer) => {
        const { width } = layers[layer]!
        return [planNames.sum(layer), new onnxruntime.Tensor('float32', values, [values.length / width, width])]
      })
      return known.run(batch, requests, Object.fromEntries(feeds))
    },
  }
}

function writeKeys(packers: readonly Packer[], batch: Batch, keys: Int32Array, keyWords: number): void {
  let column = 0
  for (const packer of packers) {
    packer.writeBits(batch, 0, batch.rows, keys, keyWords, column)
    column += packer.columns.length
  }
}
