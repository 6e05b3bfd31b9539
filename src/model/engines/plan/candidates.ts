import { median } from '../../../base/arrays.ts'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import type { LayerParts, VariantFiles } from '../../contracts/compiled-plan.ts'
import type { Batch, GraphStats } from '../../contracts/engine.ts'
import type { TableReader } from '../../contracts/live-tables.ts'
import { planNames } from '../../graph/sides/tensor-names.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import { CandidateCache, SEEN } from './candidate-cache.ts'
import type { SlotOwner } from './owned-slots.ts'
import type { Packer } from './packing.ts'
import {
  bytesOfSlot,
  createRowMemory,
  mostBytes,
  type RowMemory,
  type RowMemoryOptions,
  type SumFormat,
} from './row-memory.ts'
import { createCachedVariant, type OpenVariant, type Variant } from './variant.ts'

/** A request's rows, by what the cache has of their candidates. */
export interface CandidateRows {
  start: number
  count: number
  /** Whose request it is, where the tenant's share of the cache is limited. */
  owner: SlotOwner | undefined
  /** Rows whose candidate is cached, or is about to be, and its slots. */
  rows: number[]
  slots: number[]
  /** Rows whose candidate was asked for before, or is in the catalogue: worth caching now. */
  seen: number[]
  never: number[]
}

/** Most memory for cached candidates, bytes: what a WebAssembly memory holds, without what a call needs in it. */
const mostCached = mostBytes - 2 ** 29
/** Bytes that a call may need in that memory, and most rows per call. */
const callBytes = 2 ** 28
const mostRows = 2048

/** Candidates per measured look-up, and look-ups; the median counts. */
const measuredCandidates = 128
const measuredRounds = 31

interface CandidatesOptions {
  encoder: OpenVariant
  contextEncoder: OpenVariant | undefined
  cached: OpenVariant
  layers: readonly LayerParts[]
  /** How `cached` takes the sums of each layer. */
  formats: readonly SumFormat[]
  keyWords: number
  cache: CandidateCache
}

/** A cache of candidates' parts; undefined where the graph has none, or there is no room for them. */
export function createCandidates(
  variants: Record<'candidateEncoder' | 'contextEncoder' | 'cached', OpenVariant | undefined>,
  { layers }: Pick<VariantFiles, 'layers'>,
  bytes: number,
): Candidates | undefined {
  const { candidateEncoder: encoder, contextEncoder, cached } = variants
  if (encoder === undefined || cached === undefined) return undefined
  const keyWords = keyWordsOf(encoder)
  const formats = layers.map((_, layer) => formatOf(cached, planNames.sum(layer)))
  const width = bytesOfSlot(layers, formats) / 4
  const cache = new CandidateCache({ keyWords, width, bytes: Math.min(bytes, mostCached) })
  if (cache.slots === 0) return undefined
  return new Candidates({ encoder, contextEncoder, cached, layers, formats, keyWords, cache })
}

export class Candidates {
  /** Candidates that can be cached. */
  readonly slots: number
  /** int32 words of a key. */
  readonly keyWords: number
  /** Computes rows of cached candidates. */
  readonly variant: Variant
  readonly #encoder: OpenVariant
  readonly #layers: readonly LayerParts[]
  readonly #cache: CandidateCache
  readonly #memory: RowMemory
  #catalogue: Catalogue | undefined
  /** Keys of the batch's rows, [rows, keyWords]. */
  #keys = new Int32Array(0)
  /** The cache's counts at the last reset. */
  #baseline: GraphStats['cache']

  constructor({ encoder, contextEncoder, cached, layers, formats, keyWords, cache }: CandidatesOptions) {
    // Per row its sums, and the context's part of each.
    const rowBytes = 8 * layers.reduce((sum, { width }) => sum + width, 0)
    const rows = Math.max(1, Math.min(mostRows, Math.floor(callBytes / rowBytes)))
    this.slots = cache.slots
    this.#encoder = encoder
    this.#layers = layers
    this.#cache = cache
    this.keyWords = keyWords
    this.#memory = createMemory({ layers, formats, slots: cache.slots, mostRows: rows })
    this.#baseline = cache.stats()
    this.variant = createCachedVariant(contextEncoder, cached, layers, this.#memory)
  }

  /**
   * From now on candidates that the catalogue has are taken from it, at their first sight, instead of computed. The
   * first requests fill the cache: they find its memory provided. Forgets what is cached.
   */
  takeFrom(catalogue: Catalogue): void {
    this.reset()
    this.#memory.provide(catalogue.stats().rows)
    this.#catalogue = catalogue
  }

  /** Begins a call: reads the keys of the batch's rows. */
  readKeys(batch: Batch): void {
    if (this.#keys.length < batch.rows * this.keyWords) this.#keys = new Int32Array(batch.rows * this.keyWords)
    writeKeys(this.#encoder.rows, batch, this.#keys, this.keyWords)
    this.#cache.begin()
  }

  lookUp(start: number, count: number, owner?: SlotOwner): CandidateRows {
    const request: CandidateRows = { start, count, owner, rows: [], slots: [], seen: [], never: [] }
    for (let row = start; row < start + count; row++) {
      const slot = this.#cache.find(this.#keys, row)
      if (slot >= 0) {
        request.rows.push(row)
        request.slots.push(slot)
      } else if (slot === SEEN || this.#catalogue?.mayHave(this.#keys, row)) request.seen.push(row)
      else request.never.push(row)
    }
    return request
  }

  /** Caches the candidates of `seen` rows: these become `rows`, and so do other rows of the same candidates. */
  async keep(batch: Batch, requests: CandidateRows[]): Promise<void> {
    const toFill = this.#claim(requests)
    if (toFill.size === 0) return
    for (const request of requests)
      request.never = request.never.filter((row) => {
        const slot = this.#cache.peek(this.#keys, row)
        if (slot < 0) return true
        request.rows.push(row)
        request.slots.push(slot)
        return false
      })
    await this.#fill(batch, Int32Array.from(toFill.values()), Int32Array.from(toFill.keys()))
  }

  /**
   * Forgets the candidates of which a column that `readers` look up has a value that fulfils the condition; between two
   * calls.
   */
  forget(readers: readonly TableReader[], condition: (value: number, reader: TableReader) => boolean): void {
    const places = this.#encoder.rows.flatMap((packer, i, all) => {
      const start = all.slice(0, i).reduce((sum, { columns }) => sum + columns.length, 0)
      return readers.flatMap((reader) => {
        const place = packer.input === reader.input ? packer.columns.indexOf(reader.column) : -1
        return place < 0 ? [] : [{ reader, packer, word: start + place }]
      })
    })
    if (places.length === 0) return
    this.#cache.forgetWhere((keys, key) =>
      places.some(({ reader, packer, word }) => condition(packer.valueOf(keys[key + word]!), reader)),
    )
  }

  /** Forgets all candidates; the counts go on. */
  clear(): void {
    this.#cache.clear()
  }

  stats(): GraphStats['cache'] {
    const { hits, misses, evictions, ...sizes } = this.#cache.stats()
    return {
      ...sizes,
      hits: hits - this.#baseline.hits,
      misses: misses - this.#baseline.misses,
      evictions: evictions - this.#baseline.evictions,
    }
  }

  /** Clears the cache and the counts. */
  reset(): void {
    this.#cache.clear()
    this.recount()
  }

  /** Clears the counts. */
  recount(): void {
    this.#baseline = this.#cache.stats()
  }

  /**
   * Measures what it takes to look up a candidate, µs. Has the system provide the memory that the variant reads when it
   * is timed.
   */
  measureLookUp(): number {
    this.#memory.provide(this.#memory.timedSlots)
    const times: number[] = []
    this.#keys = new Int32Array(measuredCandidates * this.keyWords)
    // The first time touches memory that the system has not provided yet.
    for (const timed of [false, true]) {
      let word = 1
      for (let round = 0; round < measuredRounds; round++) {
        for (let i = 0; i < this.#keys.length; i++) this.#keys[i] = word = (Math.imul(word, 1664525) + 1013904223) | 0
        this.#cache.begin()
        const started = performance.now()
        this.lookUp(0, measuredCandidates)
        if (timed) times.push(((performance.now() - started) * 1000) / measuredCandidates)
      }
    }
    this.reset()
    return median(times)
  }

  /** Claims slots for the candidates of `seen` rows. Returns one row per slot that has to be filled. */
  #claim(requests: CandidateRows[]): Map<number, number> {
    const toFill = new Map<number, number>()
    for (const request of requests)
      for (const row of request.seen) {
        const present = this.#cache.peek(this.#keys, row)
        const slot = present >= 0 ? present : this.#cache.claim(this.#keys, row, request.owner)
        if (slot < 0) request.never.push(row)
        else {
          if (present < 0) toFill.set(slot, row)
          request.rows.push(row)
          request.slots.push(slot)
        }
      }
    return toFill
  }

  /** Takes the candidates' parts of rows from the catalogue, or computes them, and stores each in its slot. */
  async #fill(batch: Batch, rows: Int32Array, slots: Int32Array): Promise<void> {
    if (this.#catalogue === undefined) return this.#compute(batch, rows, slots)
    const missing = await this.#fetch(this.#catalogue, rows, slots)
    if (missing === undefined) await this.#compute(batch, rows, slots)
    else if (missing.length > 0)
      await this.#compute(
        batch,
        Int32Array.from(missing, (i) => rows[i]!),
        Int32Array.from(missing, (i) => slots[i]!),
      )
  }

  /** Indexes of rows that the catalogue does not have. A catalogue that can't be read is not asked again: undefined. */
  async #fetch(catalogue: Catalogue, rows: Int32Array, slots: Int32Array): Promise<number[] | undefined> {
    try {
      return await catalogue.fetch(this.#keys, rows, (i, load) => this.#memory.keepRow(slots[i]!, load))
    } catch {
      this.#catalogue = undefined
      return undefined
    }
  }

  async #compute(batch: Batch, rows: Int32Array, slots: Int32Array): Promise<void> {
    try {
      const results = await this.#encoder.run(batch, [{ rows }])
      this.#memory.keep(
        slots,
        this.#layers.flatMap(({ kept }, layer) => (kept ? [results[planNames.part(layer)]!.data as Float32Array] : [])),
      )
    } catch (error) {
      for (const slot of slots) this.#cache.invalidate(slot)
      throw error
    }
  }
}

/** How a graph takes an input of sums. */
function formatOf({ session }: OpenVariant, input: string): SumFormat {
  const { type, factors } = session.inputs.find(({ name }) => name === input) ?? {}
  return factors ?? (type === 'bfloat16' ? type : 'float32')
}

function createMemory(options: RowMemoryOptions): RowMemory {
  try {
    return createRowMemory(options)
  } catch (cause) {
    const message = `there is no memory for the candidate cache (MULTIGATE_CANDIDATE_CACHE_BYTES=0 turns it off): ${reasonOf(cause)}`
    throw new ModelError('MODEL_FAILED', message, { cause })
  }
}

/** int32 words of a candidate's key: the columns that the candidate encoder reads. */
export function keyWordsOf({ rows }: Pick<OpenVariant, 'rows'>): number {
  return rows.reduce((sum, { columns }) => sum + columns.length, 0)
}

/**
 * Writes the keys of the batch's rows, [rows, keyWords]: the columns that the candidate encoder reads, by their bits.
 */
export function writeKeys(packers: readonly Packer[], batch: Batch, keys: Int32Array, keyWords: number): void {
  let column = 0
  for (const packer of packers) {
    packer.writeBits(batch, 0, batch.rows, keys, keyWords, column)
    column += packer.columns.length
  }
}
