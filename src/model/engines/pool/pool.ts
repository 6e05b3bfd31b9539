import { setTimeout } from 'node:timers/promises'
import { ModelError } from '../../base/errors.ts'
import type {
  Batch,
  CallListener,
  Engine,
  GraphSource,
  GraphStats,
  LoadedGraph,
  Outputs,
  RowBlock,
  Signature,
} from '../../contracts/engine.ts'
import { addStats } from '../../contracts/graph-stats.ts'
import { createEngine, type EngineChoice } from '../create.ts'
import { type RowGatherer, SharedRows } from '../memory/shared-rows.ts'
import { createPoolWorker, leastBusy, type PoolWorker } from './pool-worker.ts'
import type { Computed, WorkerNotice, WorkerSettings, WorkerTask } from './protocol.ts'
import type { Run } from './run-queue.ts'
import { createWorkerClient, type WorkerClient, WorkerLostError } from './worker-client.ts'

/** A graph loaded in every worker. `pool.size` calls are computed at once; others wait for the least busy worker. */
export interface PooledGraph {
  signature: Signature
  run(batch: Batch, wanted: string[], listener?: CallListener): Promise<Outputs>
  /** Memory to encode a request into that workers read where it is; a batch names it as `shared`. */
  allocate?(rows: number): RowBlock
  /** What copies such rows for an engine in the calling thread. */
  follow?(): RowGatherer
  /** Seconds that a worker takes for the batch, without the hand-over; the median of some calls. */
  measure?(batch: Batch, wanted: string[]): Promise<number>
  /** What it has done in the workers that live now; undefined where the engine doesn't count. */
  stats(): Promise<GraphStats | undefined>
  /** Forgets what `stats` counts, and what is kept of candidates. */
  reset(): Promise<void>
  /** Frees the graph in every worker; idempotent. */
  close(): Promise<void>
}

export interface EnginePoolStats {
  workers: number
  /** Workers that answer now; fewer than `workers` while one is being replaced. */
  alive: number
  /** Workers that died and were replaced, since the start. */
  replaced: number
}

export interface EnginePool {
  /** The engine in use, e.g. `onnx`. */
  engine: string
  size: number
  /** Loads a graph in every worker. Rejects like Engine.load. */
  load(source: GraphSource): Promise<PooledGraph>
  /** Loads a graph in the calling thread: for one whose calls cost less than their hand-over. */
  loadHere?(source: GraphSource): Promise<LoadedGraph>
  stats(): EnginePoolStats
  /** Ends the workers, once they have answered what they were asked. Idempotent. */
  close(): Promise<void>
}

export interface EnginePoolOptions {
  engine: EngineChoice
  /** Worker threads. */
  workers: number
  /** Hears that a worker died, and why. */
  onWorkerLost?(reason: string): void
  /** Hears that a replaced worker could not load a graph again, and why: the others go on serving it. */
  onReloadFailed?(source: GraphSource, error: unknown): void
  /** Makes a worker; replaceable in tests. */
  createWorker?(settings: WorkerSettings): WorkerClient
}

/** A worker that dies at once is replaced ever more slowly, up to this, ms. */
const longestBackoff = 5000

/**
 * Starts worker threads that each hold every loaded graph; a call goes to the least busy one.
 *
 * A worker that dies is replaced, and the new one takes calls for a graph once it has loaded it; the call that the dead one
 * computed is rejected with WorkerLostError, no others notice. Rejects with ENGINE_UNAVAILABLE where the engine can't work.
 */
export async function createEnginePool(options: EnginePoolOptions): Promise<EnginePool> {
  const settings: WorkerSettings = { engine: options.engine, threads: 1 }
  const createWorker = options.createWorker ?? createWorkerClient
  const sources = new Map<number, GraphSource>()
  const sharedRows = new Map<number, SharedRows>()
  let engineHere: Promise<Engine> | undefined
  const members = new Set<PoolWorker>()
  /** Members, and those that are starting. */
  const clients = new Set<WorkerClient>()
  let waiting: (() => void)[] = []
  let nextGraph = 0
  let replaced = 0
  let closed = false
  const closing = new AbortController()

  async function start(): Promise<string> {
    const client = createWorker(settings)
    clients.add(client)
    try {
      const name = (await client.call({ type: 'start' })) as string
      if (closed) throw new ModelError('ENGINE_UNAVAILABLE', 'The engine pool has been closed')
      const member = createPoolWorker(client)
      members.add(member)
      client.ended.then((reason) => lose(member, reason))
      return name
    } catch (error) {
      clients.delete(client)
      await client.stop()
      throw error
    }
  }

  function lose(member: PoolWorker, reason: string): void {
    members.delete(member)
    clients.delete(member.client)
    if (closed) return
    options.onWorkerLost?.(reason)
    replaced++
    replace(0)
  }

  async function replace(backoff: number): Promise<void> {
    await setTimeout(backoff, undefined, { signal: closing.signal }).catch(() => undefined)
    if (closed) return
    const before = new Set(members)
    try {
      await start()
    } catch {
      return replace(Math.min(longestBackoff, backoff * 2 + 50))
    }
    for (const member of members) {
      if (before.has(member)) continue
      for (const [graph, source] of sources) await reload(member, graph, source, 0)
    }
  }

  /**
   * Tries until it works: where all workers were lost, nobody else can answer for this graph. A compiled plan that can't be
   * loaded any more is given up for the graph as it was saved.
   */
  async function reload(member: PoolWorker, graph: number, source: GraphSource, backoff: number): Promise<void> {
    if (backoff > 0) await setTimeout(backoff, undefined, { signal: closing.signal }).catch(() => undefined)
    if (closed || !members.has(member) || !sources.has(graph)) return
    try {
      await loadIn(member, graph, source)
    } catch (error) {
      options.onReloadFailed?.(source, error)
      const { plan: _, ...saved } = source
      // Not waited for: other graphs need not wait either.
      reload(member, graph, saved, Math.min(longestBackoff, backoff * 2 + 50))
    }
  }

  async function loadIn(member: PoolWorker, graph: number, source: GraphSource): Promise<Signature> {
    member.loading++
    let signature: Signature
    try {
      signature = (await member.client.call({ type: 'load', graph, source })) as Signature
    } finally {
      member.loading--
    }
    for (const slab of sharedRows.get(graph)?.slabs() ?? []) member.client.tell({ type: 'add-slab', graph, slab })
    member.graphs.add(graph)
    for (const wake of waiting) wake()
    waiting = []
    return signature
  }

  /** Loads a graph in every worker: where others are served, in one half at a time, so that the other half answers. */
  async function loadInAll(graph: number, source: GraphSource): Promise<Signature[]> {
    const all = [...members]
    const half = sources.size > 1 ? Math.ceil(all.length / 2) : all.length
    // One that has died meanwhile is replaced by one that loads whatever there is.
    const load = (part: PoolWorker[]) =>
      Promise.all(part.filter((member) => members.has(member)).map((member) => loadIn(member, graph, source)))
    return [...(await load(all.slice(0, half))), ...(await load(all.slice(half)))]
  }

  const names = await Promise.all(Array.from({ length: options.workers }, start)).catch(async (error) => {
    closed = true
    await Promise.all([...clients].map((client) => client.stop()))
    throw error
  })

  return {
    engine: names[0] ?? 'none',
    size: options.workers,
    async load(source) {
      const graph = nextGraph++
      sources.set(graph, source)
      try {
        const [signature] = await loadInAll(graph, source)
        if (signature === undefined) throw new Error('no worker is alive')
        const rows = new SharedRows(signature.inputs, {
          added: (slab) => tellHolders({ type: 'add-slab', graph, slab }),
          removed: (slab) => tellHolders({ type: 'remove-slab', graph, slab }),
        })
        sharedRows.set(graph, rows)
        return {
          signature,
          run: (batch, wanted, listener) => run(graph, batch, wanted, listener),
          allocate: (count) => rows.allocate(count),
          follow: () => rows.follow(),
          measure: (batch, wanted) =>
            ask(graph, ({ client }) => client.call({ type: 'measure', graph, batch, wanted }) as Promise<number>),
          stats: () => statsOf(graph),
          reset: async () => {
            await askAll(graph, 'reset')
          },
          close: () => unload(graph),
        }
      } catch (error) {
        await unload(graph)
        throw error
      }
    },
    // Others are too heavy for the thread that answers requests.
    ...(names[0] === 'onnx' && { loadHere }),
    stats: () => ({ workers: options.workers, alive: members.size, replaced }),
    async close() {
      closed = true
      closing.abort()
      for (const wake of waiting) wake()
      await Promise.all([...clients].map((client) => client.stop()))
    },
  }

  async function loadHere(source: GraphSource): Promise<LoadedGraph> {
    engineHere ??= createEngine('onnx', settings.threads)
    return (await engineHere).load(source)
  }

  async function run(graph: number, batch: Batch, wanted: string[], listener?: CallListener): Promise<Outputs> {
    const { shared: parts } = batch
    const task: WorkerTask =
      parts === undefined ? { type: 'run', graph, batch, wanted } : { type: 'run-shared', graph, parts, wanted }
    for (;;) {
      const run: Run = { begun: false, listener }
      try {
        return await ask(graph, (member) => compute(member, task, run))
      } catch (error) {
        // What a worker had not begun did not kill it: another takes it.
        if (run.begun || !(error instanceof WorkerLostError)) throw error
      }
    }
  }

  async function compute(member: PoolWorker, task: WorkerTask, run: Run): Promise<Outputs> {
    member.runs.add(run)
    try {
      const { outputs, seconds } = (await member.client.call(task)) as Computed
      run.listener?.took?.(seconds)
      member.runs.shift()
      return outputs
    } catch (error) {
      if (!(error instanceof WorkerLostError)) member.runs.shift()
      throw error
    }
  }

  /** Asks the least busy worker; where every one is being replaced, the first that has the graph. */
  async function ask<T>(graph: number, call: (member: PoolWorker) => Promise<T>): Promise<T> {
    for (;;) {
      if (closed || !sources.has(graph)) throw new ModelError('MODEL_FAILED', 'The graph has been closed')
      const member = leastBusy(members, graph)
      if (member !== undefined) return call(member)
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
  }

  function tellHolders(notice: WorkerNotice): void {
    for (const { client, graphs } of members) if (graphs.has(notice.graph)) client.tell(notice)
  }

  async function statsOf(graph: number): Promise<GraphStats | undefined> {
    const all = (await askAll(graph, 'stats')) as (GraphStats | undefined)[]
    const known = all.filter((stats) => stats !== undefined)
    return known.length === 0 ? undefined : known.reduce(addStats)
  }

  /** Of a worker that dies meanwhile there is no answer. */
  function askAll(graph: number, type: 'stats' | 'reset'): Promise<unknown[]> {
    const holders = [...members].filter(({ graphs }) => graphs.has(graph))
    return Promise.all(holders.map(({ client }) => client.call({ type, graph }).catch(() => undefined)))
  }

  async function unload(graph: number): Promise<void> {
    sources.delete(graph)
    sharedRows.delete(graph)
    for (const wake of waiting) wake()
    await Promise.all(
      [...members].map(async (member) => {
        // A worker that dies meanwhile has freed the graph as well.
        if (member.graphs.delete(graph)) await member.client.call({ type: 'unload', graph }).catch(() => undefined)
      }),
    )
  }
}
