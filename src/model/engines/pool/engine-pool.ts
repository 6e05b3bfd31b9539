import type { CompiledPlan } from '../../contracts/compiled-plan.ts'
import type {
  Batch,
  CallListener,
  GraphSource,
  GraphStats,
  Outputs,
  RowBlock,
  Signature,
} from '../../contracts/engine.ts'
import type { Overlay } from '../../contracts/live-tables.ts'
import type { EngineChoice } from '../create.ts'
import type { SmallGraph } from '../small/small-graph.ts'
import type { WorkerSettings } from './protocol.ts'
import type { WorkerClient } from './worker-client.ts'

/**
 * A graph loaded in every worker. `pool.size` calls are computed in parallel; others wait for the least busy worker.
 */
export interface PooledGraph {
  signature: Signature
  run(batch: Batch, wanted: string[], listener?: CallListener): Promise<Outputs>
  /**
   * Shared memory to encode a request into, without a copy for the workers; a batch names it as `shared`. Undefined
   * while there is none.
   */
  allocate?(rows: number): RowBlock | undefined
  /** Seconds that a worker takes for the batch, without the hand-over; the median of several calls. */
  measure?(batch: Batch, wanted: string[]): Promise<number>
  /**
   * Plans with live tables: replaces rows of them in every worker, between two of its calls. Rejects where a worker
   * can't take them over; then all go on with the former ones.
   */
  setOverlay?(overlay: Overlay): Promise<void>
  /** Counts of the workers that are alive; undefined where the engine doesn't count. */
  stats(): Promise<GraphStats | undefined>
  /** Clears the counts and the cached candidates. */
  reset(): Promise<void>
  /** Clears the counts alone. */
  recount(): Promise<void>
  /** Loads the graph in the workers that don't have it. Never rejects: those that have it go on answering. */
  spread?(): Promise<void>
  /** Frees the graph in every worker; idempotent. */
  close(): Promise<void>
}

export interface EnginePoolStats {
  workers: number
  /** Workers that are alive; fewer than `workers` while one is being replaced. */
  alive: number
  /** Workers that died and were replaced, since the start. */
  replaced: number
  /** The last one that died. */
  lost?: LostWorker | undefined
  /** Statistics of graphs that are closed where they take too much memory; undefined where all stay open. */
  residency?: ResidencyStats
}

/** How a worker ended. */
export interface LostWorker {
  /** Its exit code, or the error that ended it. */
  reason: string
  /** Folder of the version that it computed; undefined where it computed none. */
  folder: string | undefined
}

export interface ResidencyStats {
  /** Graphs that are open, and their memory, bytes. */
  open: number
  bytes: number
  /** Graphs that were opened again for a call, and the seconds that took, in all. */
  reopened: number
  reopenSeconds: number
}

export type LoadedWhere = 'in_all' | 'in_half'

export interface EnginePool {
  /** The engine in use, such as `onnx`. */
  engine: string
  size: number
  /** Loads a graph in every worker, or in half of them until it is spread. Rejects like Engine.load. */
  load(source: GraphSource, where?: LoadedWhere): Promise<PooledGraph>
  /**
   * Opens a plan's graph in the calling thread, where its calls may cost less than their hand-over; or why it isn't
   * small.
   */
  openSmall?(plan: CompiledPlan): Promise<SmallGraph | string>
  stats(): EnginePoolStats
  /** Ends the workers, once they have answered their calls. Idempotent. */
  close(): Promise<void>
}

export interface EnginePoolOptions {
  engine: EngineChoice
  /** Worker threads. */
  workers: number
  /** Reports that a worker died. */
  onWorkerLost?(lost: LostWorker): void
  /** Reports that a replacement could not load a graph, and why; the other workers still serve it. */
  onReloadFailed?(source: GraphSource, error: unknown): void
  /** Creates a worker; replaceable in tests. */
  createWorker?(settings: WorkerSettings): WorkerClient
}
