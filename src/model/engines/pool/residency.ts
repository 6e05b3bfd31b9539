import type { Clock } from '../../../base/clock.ts'
import { ModelError } from '../../../base/errors.ts'
import {
  addStats,
  type GraphSource,
  type GraphStats,
  noCache,
  noMemory,
  type RowBlock,
} from '../../contracts/engine.ts'
import type { Overlay } from '../../contracts/live-tables.ts'
import type { EnginePool, PooledGraph } from './engine-pool.ts'

export interface ResidencyOptions {
  /** Most memory of the graphs that are open, in all workers, bytes; the one used last stays open whatever it takes. */
  bytes: number
  clock: Pick<Clock, 'now' | 'after'>
  /** Reports that a compiled graph could not be opened again, and why; the graph as it was saved is opened instead. */
  onReloadFailed?(source: GraphSource, error: unknown): void
}

/**
 * Memory that a session takes beside its file: measured with ONNX Runtime 1.30, 1.3 MiB for 0.6 MiB of five small
 * graphs in two workers, 34 MiB for 26 MiB of five large ones.
 */
const engineFactor = 1.25
const bytesPerWorker = 2 ** 18

/** How often the memory of open graphs is measured, ms: what they keep of candidates grows. */
const measuredEvery = 10_000

/** Calls of a graph that was opened again before it is opened in every worker: most are closed again before. */
const callsBeforeSpread = 4

/**
 * A pool that closes the graphs used least recently where all together take more than a bound, and opens them again for
 * their next call, which waits for it. Its graphs look as if they were always open.
 */
export function limitResidency(pool: EnginePool, options: ResidencyOptions): EnginePool {
  const residency = new Residency(pool, options)
  return {
    ...pool,
    async load(source) {
      const graph = new ResidentGraph(residency, source, await pool.load(source))
      await residency.opened(graph)
      return graph
    },
    stats: () => ({ ...pool.stats(), residency: residency.stats() }),
    async close() {
      residency.close()
      await pool.close()
    },
  }
}

class Residency {
  readonly pool: EnginePool
  readonly options: ResidencyOptions
  /** Graphs that are open, the one used least recently first, with their bytes. */
  readonly #open = new Map<ResidentGraph, number>()
  #cancelMeasuring: () => void
  #reopened = 0
  #reopenSeconds = 0

  constructor(pool: EnginePool, options: ResidencyOptions) {
    this.pool = pool
    this.options = options
    this.#cancelMeasuring = options.clock.after(measuredEvery, () => this.#measureAll())
  }

  async opened(graph: ResidentGraph): Promise<void> {
    // It counts from now on, and is the last to be closed.
    this.#open.set(graph, 0)
    await this.#measure(graph)
    this.#trim()
  }

  reopened(seconds: number): void {
    this.#reopened++
    this.#reopenSeconds += seconds
  }

  used(graph: ResidentGraph): void {
    const bytes = this.#open.get(graph)
    if (bytes === undefined) return
    this.#open.delete(graph)
    this.#open.set(graph, bytes)
  }

  closed(graph: ResidentGraph): void {
    this.#open.delete(graph)
  }

  stats() {
    const bytes = this.#bytes()
    return { open: this.#open.size, bytes, reopened: this.#reopened, reopenSeconds: this.#reopenSeconds }
  }

  close(): void {
    this.#cancelMeasuring()
  }

  #bytes(): number {
    let sum = 0
    for (const bytes of this.#open.values()) sum += bytes
    return sum
  }

  async #measure(graph: ResidentGraph): Promise<void> {
    const bytes = await graph.bytes()
    if (this.#open.has(graph)) this.#open.set(graph, bytes)
  }

  async #measureAll(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((graph) => this.#measure(graph)))
    this.#trim()
    this.#cancelMeasuring = this.options.clock.after(measuredEvery, () => this.#measureAll())
  }

  #trim(): void {
    let bytes = this.#bytes()
    let left = this.#open.size
    for (const [graph, own] of this.#open) {
      if (bytes <= this.options.bytes || left === 1) return
      left--
      if (!graph.sleep()) continue
      this.#open.delete(graph)
      bytes -= own
    }
  }
}

class ResidentGraph implements PooledGraph {
  readonly signature: PooledGraph['signature']
  readonly #residency: Residency
  readonly #source: GraphSource
  #inner: PooledGraph | undefined
  #opening: Promise<PooledGraph> | undefined
  /** Ends when the counts of the times when it was open have been taken over. */
  #sleeping: Promise<unknown> | undefined
  /** Calls that run or wait, and requests whose rows lie in the open graph's memory. */
  #users = 0
  /** Calls since it was opened again. */
  #calls = 0
  /** Counts of the times when it was open before. */
  #past: GraphStats | undefined
  #overlay: Overlay | undefined
  #closed = false

  constructor(residency: Residency, source: GraphSource, inner: PooledGraph) {
    this.signature = inner.signature
    this.#residency = residency
    this.#source = source
    this.#inner = inner
  }

  run(...call: Parameters<PooledGraph['run']>) {
    return this.#use((inner) => inner.run(...call))
  }

  measure(...call: Parameters<NonNullable<PooledGraph['measure']>>) {
    return this.#use((inner) => inner.measure!(...call))
  }

  /** Undefined while the graph is closed; it is opened, since a call will follow. */
  allocate(rows: number): RowBlock | undefined {
    if (this.#inner === undefined) {
      // Its call reports what fails.
      this.#open().catch(() => undefined)
      return undefined
    }
    const block = this.#inner.allocate?.(rows)
    if (block === undefined) return undefined
    this.#users++
    return {
      ...block,
      release: () => {
        block.release()
        this.#users--
      },
    }
  }

  /** A graph that is closed takes it over when it is opened. */
  async setOverlay(overlay: Overlay): Promise<void> {
    this.#users++
    try {
      await this.#opening?.catch(() => undefined)
      await this.#inner?.setOverlay?.(overlay)
      this.#overlay = overlay
    } finally {
      this.#users--
    }
  }

  async stats(): Promise<GraphStats | undefined> {
    await this.#sleeping
    const now = await this.#inner?.stats()
    return now && this.#past ? addStats(this.#past, now) : (now ?? this.#past)
  }

  async reset(): Promise<void> {
    await this.#sleeping
    this.#past = undefined
    await this.#inner?.reset()
  }

  async recount(): Promise<void> {
    await this.#sleeping
    this.#past = undefined
    await this.#inner?.recount()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#residency.closed(this)
    await this.#opening?.catch(() => undefined)
    await this.#sleeping
    await this.#inner?.close()
  }

  /** Bytes in all workers, roughly; 0 where the engine doesn't count. */
  async bytes(): Promise<number> {
    const stats = await this.#inner?.stats()
    if (stats === undefined) return 0
    const { weights, variants } = stats.memory
    return engineFactor * (weights + variants) + bytesPerWorker * this.#residency.pool.size + stats.cache.bytes
  }

  /** Closes the graph until its next call, unless it is in use; whether it does. */
  sleep(): boolean {
    const inner = this.#inner
    if (inner === undefined || this.#users > 0) return false
    this.#inner = undefined
    this.#sleeping = Promise.all([this.#sleeping, this.#putAway(inner)])
    return true
  }

  async #putAway(inner: PooledGraph): Promise<void> {
    const stats = await inner.stats().catch(() => undefined)
    await inner.close()
    if (stats === undefined) return
    const counts = { ...stats, cache: { ...stats.cache, entries: 0, bytes: 0 }, memory: noMemory }
    this.#past = addStats(this.#past ?? { rows: noRows, cache: noCache, memory: noMemory }, counts)
  }

  async #use<T>(call: (inner: PooledGraph) => Promise<T>): Promise<T> {
    this.#users++
    try {
      const inner = this.#inner ?? (await this.#open())
      this.#residency.used(this)
      if (++this.#calls === callsBeforeSpread) inner.spread?.()
      return await call(inner)
    } finally {
      this.#users--
    }
  }

  #open(): Promise<PooledGraph> {
    this.#opening ??= this.#reopen().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #reopen(): Promise<PooledGraph> {
    const { pool, options } = this.#residency
    if (this.#closed) throw new ModelError('MODEL_FAILED', 'The graph has been closed')
    const started = options.clock.now()
    const inner = await pool.load(this.#source, 'in_half').catch((error) => {
      const { plan, ...saved } = this.#source
      // The saved graph has former rows of live tables.
      if (plan === undefined || plan.description.live !== undefined) throw error
      options.onReloadFailed?.(this.#source, error)
      return pool.load(saved, 'in_half')
    })
    // None of the changes that led to it: the graph knows nothing of candidates.
    if (this.#overlay) await inner.setOverlay?.({ ...this.#overlay, changed: { ...this.#overlay.changed, since: -1 } })
    this.#inner = inner
    this.#calls = 0
    this.#residency.reopened((options.clock.now() - started) / 1000)
    // Calls need not wait until it has been measured.
    if (!this.#closed) this.#residency.opened(this)
    return inner
  }
}

const noRows: GraphStats['rows'] = { exported: 0, full: 0, shared_context: 0, cached: 0 }
