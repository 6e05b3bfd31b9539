import { concat } from '../../../base/arrays.ts'
import { type Batch, type GraphStats, noCache } from '../../contracts/engine.ts'
import { longestList } from '../../contracts/list-length.ts'
import type { CandidateRows, Candidates } from './candidates.ts'
import {
  chooseCached,
  costsAtLength,
  divide,
  type LookedUp,
  LookUpPolicy,
  lookUpUnderLoad,
  usefulVariants,
  type VariantCosts,
} from './choose-variant.ts'
import { type Packer, sameContext } from './packing.ts'
import { callsOf } from './plan-cost.ts'
import type { RequestRows, Variant } from './variant.ts'

type VariantName = 'full' | 'shared_context' | 'cached'

/** Rows of a batch by the variant that computes them. */
interface Assignment {
  cached: RequestRows[]
  shared_context: RequestRows[]
  full: Int32Array
}

/**
 * Computes each request of a batch by its cheapest variant: the full graph; the shared-context variant, which computes
 * the context once per request; or, for cached candidates, the cached variant. Requests share a call where that is
 * cheaper. A candidate is cached when it is asked for a second time.
 */
export class VariantRunner {
  readonly #full: Variant
  readonly #countedAs: 'full' | 'exported'
  readonly #sharedContext: Variant | undefined
  readonly #candidates: Candidates | undefined
  readonly #output: string
  /** The costs with whole lists, and with lists as they were asked for recently. */
  readonly #measured: VariantCosts
  #costs: VariantCosts
  readonly #policy: LookUpPolicy
  readonly #length = new RecentLength()
  /** The inputs that rows of one request have to share. */
  readonly #context: readonly Packer[]
  readonly #rows: GraphStats['rows'] = { exported: 0, full: 0, shared_context: 0, cached: 0 }
  /** 0, 1, 2, … as far as they have been needed. */
  #ascending = new Int32Array(0)

  /** `lookUp`: to look up a candidate, as measured, µs. `isSaved`: the full variant is the graph as saved. */
  constructor(
    variants: { full: Variant; sharedContext: Variant | undefined; candidates: Candidates | undefined },
    output: string,
    lookUp: number,
    isSaved = false,
  ) {
    const { full, sharedContext, candidates } = variants
    this.#measured = usefulVariants({
      full: full.cost,
      shared_context: sharedContext?.cost,
      cached: candidates?.variant.cost,
      lookUp: lookUpUnderLoad * lookUp,
    })
    this.#costs = this.#measured
    this.#full = full
    this.#countedAs = isSaved ? 'exported' : 'full'
    this.#sharedContext = this.#costs.shared_context && sharedContext
    this.#candidates = this.#costs.cached && candidates
    this.#context = this.#sharedContext?.context ?? this.#candidates?.variant.context ?? []
    this.#policy = new LookUpPolicy(this.#costs, this.#candidates?.slots ?? 0)
    this.#output = output
  }

  /** The output, [batch.rows, width]. */
  async run(batch: Batch): Promise<Float32Array> {
    const requests = batch.requests ?? [batch.rows]
    this.#noteLengths(batch, requests)
    const uncached = divide(this.#costs, requests)
    const looksUp = this.#policy.wants(requests, uncached.cost)
    const output = new ScatteredOutput(batch.rows)
    if (looksUp || uncached.viaShared.includes(true)) {
      const { cached, shared_context: shared, full } = await this.#assign(batch, requests, looksUp)
      const { variant } = this.#candidates ?? {}
      if (variant && cached.length > 0) await this.#compute('cached', variant, batch, cached, output)
      if (this.#sharedContext && shared.length > 0)
        await this.#compute('shared_context', this.#sharedContext, batch, shared, output)
      if (full.length > 0) await this.#compute('full', this.#full, batch, [{ rows: full }], output)
    } else await this.#compute('full', this.#full, batch, [{ rows: this.#range(0, batch.rows) }], output)
    return output.values
  }

  /** Costs follow the lengths of lists that are asked for: those of each request's first row. */
  #noteLengths(batch: Batch, requests: readonly number[]): void {
    const { lists } = this.#sharedContext ?? this.#full
    if (lists.length === 0) return
    let start = 0
    for (const rows of requests) {
      let part = 0
      for (const list of lists) part += (longestList(list, batch.inputs, batch.rows, [start]) - 1) / (list.size - 1)
      this.#length.add(part / lists.length)
      start += rows
    }
    if (!this.#length.hasMoved()) return
    this.#costs = costsAtLength(this.#measured, this.#length.value)
    this.#policy.use(this.#costs)
  }

  stats(): Pick<GraphStats, 'rows' | 'cache'> {
    return { rows: { ...this.#rows }, cache: this.#candidates?.stats() ?? noCache }
  }

  reset(): void {
    this.recount()
    this.#candidates?.reset()
    this.#policy.reset()
  }

  recount(): void {
    Object.assign(this.#rows, { exported: 0, full: 0, shared_context: 0, cached: 0 })
    this.#candidates?.recount()
  }

  async #compute(
    name: VariantName,
    variant: Variant,
    batch: Batch,
    requests: RequestRows[],
    output: ScatteredOutput,
  ): Promise<void> {
    // The full graph takes any rows in one call.
    const { mostRows } = variant
    const calls = name === 'full' ? [requests] : callsOf({ cost: this.#costs[name]!, mostRows }, requests)
    for (const call of calls) {
      const { [this.#output]: values } = await variant.run(batch, call)
      const rows = concat(
        Int32Array,
        call.map(({ rows }) => rows),
      )
      this.#rows[name === 'full' ? this.#countedAs : name] += rows.length
      output.place(values!.data as Float32Array, rows)
    }
  }

  async #assign(batch: Batch, requests: readonly number[], looksUp: boolean): Promise<Assignment> {
    if (looksUp) this.#candidates!.readKeys(batch)
    /** Rows of requests whose rows differ in their context. */
    const loose: number[] = []
    /** Rows of one request each. */
    const uncached: Int32Array[] = []
    const lookedUp: CandidateRows[] = []
    let start = 0
    for (const [i, rows] of requests.entries()) {
      if (!batch.alike?.[i] && !sameContext(batch, this.#context, start, rows)) loose.push(...this.#range(start, rows))
      else if (looksUp) lookedUp.push(this.#candidates!.lookUp(start, rows, batch.tenants?.[i]))
      else uncached.push(this.#range(start, rows))
      start += rows
    }
    const cached = await this.#fromCache(batch, lookedUp, uncached)
    const { viaShared } = divide(
      this.#costs,
      uncached.map(({ length }) => length),
      loose.length,
    )
    return {
      cached,
      shared_context: uncached.flatMap((rows, i) => (viaShared[i] ? [{ rows }] : [])),
      full: concat(Int32Array, [...uncached.filter((_, i) => !viaShared[i]), Int32Array.from(loose)]),
    }
  }

  /** The rows that the cached variant computes, after new candidates have been cached; the others go to `uncached`. */
  async #fromCache(batch: Batch, lookedUp: CandidateRows[], uncached: Int32Array[]): Promise<RequestRows[]> {
    // To cache a candidate is an investment, so that its cost is not counted here.
    const found = lookedUp.map(({ count, rows, seen }): LookedUp => ({ count, cached: rows.length + seen.length }))
    this.#policy.record(found)
    const choice = chooseCached(this.#costs, found)
    const chosen = lookedUp.filter((_, i) => choice[i])
    for (const [i, { start, count }] of lookedUp.entries()) if (!choice[i]) uncached.push(this.#range(start, count))
    await this.#candidates?.keep(batch, chosen)
    const cached: RequestRows[] = []
    for (const { rows, slots, never } of chosen) {
      if (rows.length > 0) cached.push({ rows: Int32Array.from(rows), slots: Int32Array.from(slots) })
      if (never.length > 0) uncached.push(Int32Array.from(never))
    }
    return cached
  }

  #range(start: number, count: number): Int32Array {
    if (this.#ascending.length < start + count)
      this.#ascending = Int32Array.from({ length: 2 * (start + count) }, (_, row) => row)
    return this.#ascending.subarray(start, start + count)
  }
}

/** The moving mean of the part of their places that lists have, from 0 for one place to 1 for all. */
class RecentLength {
  /** Until some are asked for, lists count as whole. */
  value = 1
  /** The value that costs follow from. */
  #used = 1

  add(part: number): void {
    this.value += recentWeight * (part - this.value)
  }

  /** Whether the value has moved so far that costs should follow. */
  hasMoved(): boolean {
    if (Math.abs(this.value - this.#used) < leastMove) return false
    this.#used = this.value
    return true
  }
}

/** About the last 50 requests count. */
const recentWeight = 0.02
const leastMove = 0.05

/**
 * Gathers rows, computed in one or several calls, in the batch's order. A call's outputs may live only until the next
 * call: they are copied.
 */
export class ScatteredOutput {
  readonly #total: number
  #values: Float32Array | undefined

  /** `total`: rows of the batch. */
  constructor(total: number) {
    this.#total = total
  }

  /** `values` [rows.length, width] are the batch's rows `rows`. */
  place(values: Float32Array, rows: ArrayLike<number>): void {
    if (rows.length === this.#total && isInOrder(rows)) {
      this.#values = new Float32Array(values)
      return
    }
    const width = values.length / rows.length
    this.#values ??= new Float32Array(this.#total * width)
    for (let i = 0; i < rows.length; i++)
      for (let j = 0; j < width; j++) this.#values[rows[i]! * width + j] = values[i * width + j]!
  }

  /** [total, width], once every row has been placed. */
  get values(): Float32Array {
    return this.#values!
  }
}

function isInOrder(rows: ArrayLike<number>): boolean {
  for (let i = 0; i < rows.length; i++) if (rows[i] !== i) return false
  return true
}
