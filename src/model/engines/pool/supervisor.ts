import { setTimeout } from 'node:timers/promises'
import { ModelError } from '../../../base/errors.ts'
import type { GraphSource, Signature } from '../../contracts/engine.ts'
import { emptied, type Overlay } from '../../contracts/live-tables.ts'
import type { SharedRows } from '../memory.ts'
import type { EnginePoolOptions, LoadedWhere, LostWorker } from './engine-pool.ts'
import { createPoolWorker, leastBusy, type PoolWorker } from './pool-worker.ts'
import type { WorkerNotice, WorkerSettings } from './protocol.ts'
import { createWorkerClient, type WorkerClient, WorkerLostError } from './worker-client.ts'

/** Longest delay before a worker that keeps dying is replaced, ms. */
const longestBackoff = 5000

/** A graph that every worker has to hold. */
export interface HeldGraph {
  source: GraphSource
  /** Shared memory for its rows, once it is loaded. */
  rows: SharedRows | undefined
  /** The rows of live tables that replace others. */
  overlay: Overlay | undefined
}

/**
 * Keeps a pool's workers alive: starts them, replaces those that die, and loads every graph again in the replacement. A
 * replacement takes calls for a graph once it has loaded it.
 */
export class WorkerSupervisor {
  readonly workers = new Set<PoolWorker>()
  readonly graphs = new Map<number, HeldGraph>()
  /** Workers that died, since the start. */
  replaced = 0
  /** The last of them. */
  lost: LostWorker | undefined
  readonly #options: EnginePoolOptions
  readonly #settings: WorkerSettings
  /** Clients of the workers, and of those that are starting. */
  readonly #clients = new Set<WorkerClient>()
  readonly #closing = new AbortController()
  /** Callers that wait for a worker. */
  #waiting: (() => void)[] = []

  constructor(options: EnginePoolOptions, settings: WorkerSettings) {
    this.#options = options
    this.#settings = settings
  }

  /** Starts a worker; resolves with the name of its engine. */
  async start(): Promise<string> {
    const client = (this.#options.createWorker ?? createWorkerClient)(this.#settings)
    this.#clients.add(client)
    try {
      const name = (await client.call({ type: 'start' })) as string
      if (this.#closed) throw new ModelError('ENGINE_UNAVAILABLE', 'The engine pool has been closed')
      const worker = createPoolWorker(client)
      this.workers.add(worker)
      client.ended.then((reason) => this.#lose(worker, reason))
      return name
    } catch (error) {
      this.#clients.delete(client)
      await client.stop()
      throw error
    }
  }

  /**
   * Loads a graph in every worker, or in those of one half that are least busy. Where others are served, one half of
   * the workers loads at a time, so that the other half answers.
   */
  async load(graph: number, source: GraphSource, where: LoadedWhere): Promise<Signature[]> {
    this.graphs.set(graph, { source, rows: undefined, overlay: undefined })
    const all = [...this.workers].sort((a, b) => a.client.pending - b.client.pending)
    const half = this.graphs.size > 1 ? Math.ceil(all.length / 2) : all.length
    const first = await this.#loadInAll(all.slice(0, half), graph, source)
    return where === 'in_half' ? first : [...first, ...(await this.#loadInAll(all.slice(half), graph, source))]
  }

  /** Loads a graph in the workers that don't have it; a failure is reported. */
  async spread(graph: number): Promise<void> {
    const held = this.graphs.get(graph)
    if (held === undefined) return
    const without = [...this.workers].filter(({ graphs }) => !graphs.has(graph))
    await this.#loadInAll(without, graph, held.source).catch((error) =>
      this.#options.onReloadFailed?.(held.source, error),
    )
  }

  async unload(graph: number): Promise<void> {
    this.graphs.delete(graph)
    this.#wake()
    await Promise.all(
      [...this.workers].map(async (worker) => {
        // A worker that dies meanwhile has freed the graph as well.
        if (worker.graphs.delete(graph)) await worker.client.call({ type: 'unload', graph }).catch(() => undefined)
      }),
    )
  }

  /** Calls the least busy worker; where every one is being replaced, the first that has loaded the graph. */
  async callOne<T>(graph: number, call: (worker: PoolWorker) => Promise<T>): Promise<T> {
    for (;;) {
      if (this.#closed || !this.graphs.has(graph)) throw new ModelError('MODEL_FAILED', 'The graph has been closed')
      const worker = leastBusy(this.workers, graph)
      if (worker !== undefined) return call(worker)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Calls every worker that has loaded the graph; undefined for one that dies meanwhile. */
  callAll(graph: number, type: 'stats' | 'reset' | 'recount'): Promise<unknown[]> {
    const holders = [...this.workers].filter(({ graphs }) => graphs.has(graph))
    return Promise.all(holders.map(({ client }) => client.call({ type, graph }).catch(() => undefined)))
  }

  /** Gives every worker an overlay; where one can't take it over, all get the former one back, and it rejects. */
  async setOverlay(graph: number, overlay: Overlay): Promise<void> {
    const held = this.graphs.get(graph)
    if (held === undefined) return
    const former = held.overlay
    try {
      await this.#giveOverlay(graph, held, overlay)
    } catch (error) {
      // Those that have no overlay yet keep the tables unchanged.
      const back = former ?? emptied(overlay)
      await this.#giveOverlay(graph, held, { ...back, changed: { ...back.changed, since: -1 } }).catch(() => undefined)
      throw error
    }
  }

  /** A worker that is loading the graph takes the overlay afterwards, one that dies has no need of it. */
  async #giveOverlay(graph: number, held: HeldGraph, overlay: Overlay): Promise<void> {
    held.overlay = overlay
    const holders = [...this.workers].filter(({ graphs }) => graphs.has(graph))
    await Promise.all(
      holders.map(({ client }) =>
        client.call({ type: 'overlay', graph, overlay }).catch((error) => {
          if (!(error instanceof WorkerLostError)) throw error
        }),
      ),
    )
  }

  /** Notifies every worker that has loaded the notice's graph. */
  notify(notice: WorkerNotice): void {
    for (const { client, graphs } of this.workers) if (graphs.has(notice.graph)) client.notify(notice)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#wake()
    await Promise.all([...this.#clients].map((client) => client.stop()))
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting = []
  }

  #lose(worker: PoolWorker, reason: string): void {
    this.workers.delete(worker)
    this.#clients.delete(worker.client)
    if (this.#closed) return
    const run = worker.runs.current
    this.lost = { reason, folder: run && this.graphs.get(run.graph)?.source.folder }
    this.#options.onWorkerLost?.(this.lost)
    this.replaced++
    this.#replace(0)
  }

  async #replace(backoff: number): Promise<void> {
    await this.#pause(backoff)
    if (this.#closed) return
    const before = new Set(this.workers)
    try {
      await this.start()
    } catch {
      return this.#replace(longer(backoff))
    }
    for (const worker of this.workers) {
      if (before.has(worker)) continue
      for (const [graph, { source }] of this.graphs) await this.#reload(worker, graph, source, 0)
    }
  }

  /**
   * Tries until it succeeds: where all workers were lost, nobody else can answer for this graph. Falls back from a
   * compiled graph that no longer loads to the graph as it was saved.
   */
  async #reload(worker: PoolWorker, graph: number, source: GraphSource, backoff: number): Promise<void> {
    if (backoff > 0) await this.#pause(backoff)
    if (this.#closed || !this.workers.has(worker) || !this.graphs.has(graph)) return
    try {
      await this.#loadIn(worker, graph, source)
    } catch (error) {
      this.#options.onReloadFailed?.(source, error)
      const { plan, ...saved } = source
      // The saved graph has no overlays: its answers would be those of former rows.
      const next = plan?.description.live === undefined ? saved : source
      // Not awaited: the next graph need not wait for this one.
      this.#reload(worker, graph, next, longer(backoff))
    }
  }

  /** The replacement of a worker that dies meanwhile loads every graph. */
  #loadInAll(workers: readonly PoolWorker[], graph: number, source: GraphSource): Promise<Signature[]> {
    const alive = workers.filter((worker) => this.workers.has(worker))
    return Promise.all(alive.map((worker) => this.#loadIn(worker, graph, source)))
  }

  async #loadIn(worker: PoolWorker, graph: number, source: GraphSource): Promise<Signature> {
    worker.loading++
    let signature: Signature
    try {
      signature = (await worker.client.call({ type: 'load', graph, source })) as Signature
    } finally {
      worker.loading--
    }
    await this.#catchUp(worker, graph)
    for (const slab of this.graphs.get(graph)?.rows?.slabs() ?? [])
      worker.client.notify({ type: 'add-slab', graph, slab })
    if (!this.graphs.has(graph)) {
      // It was unloaded meanwhile, as where it failed in another worker.
      await worker.client.call({ type: 'unload', graph })
      return signature
    }
    worker.graphs.add(graph)
    this.#wake()
    return signature
  }

  /** Gives a worker that has loaded a graph its overlay, and one that replaces that meanwhile. */
  async #catchUp({ client }: PoolWorker, graph: number): Promise<void> {
    let given: Overlay | undefined
    for (;;) {
      const overlay = this.graphs.get(graph)?.overlay
      if (overlay === undefined || overlay === given) return
      await client.call({ type: 'overlay', graph, overlay })
      given = overlay
    }
  }

  /** Ends early when the pool closes. */
  async #pause(milliseconds: number): Promise<void> {
    await setTimeout(milliseconds, undefined, { signal: this.#closing.signal }).catch(() => undefined)
  }
}

function longer(backoff: number): number {
  return Math.min(longestBackoff, backoff * 2 + 50)
}
