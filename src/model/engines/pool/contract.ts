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

/** A graph loaded in every worker. `pool.size` calls are computed in parallel; others wait for the least busy worker. */
export interface PooledGraph {
  signature: Signature
  run(batch: Batch, wanted: string[], listener?: CallListener): Promise<Outputs>
  /** Shared memory to encode a request into, without a copy for the workers; a batch names it as `shared`. */
  allocate?(rows: number): RowBlock
  /** Seconds that a worker takes for the batch, without the hand-over; the median of several calls. */
  measure?(batch: Batch, wanted: string[]): Promise<number>
  /**
   * Plans with live tables: replaces rows of them in every worker, between two of its calls. Rejects where a worker can't take
   * them over; then all go on with the former ones.
   */
  setOverlay?(overlay: Overlay): Promise<void>
  /** Counts of the workers that are alive; undefined where the engine doesn't count. */
  stats(): Promise<GraphStats | undefined>
  /** Clears the counts and the cached candidates. */
  reset(): Promise<void>
  /** Frees the graph in every worker; idempotent. */
  close(): Promise<void>
}

export interface EnginePoolStats {
  workers: number
  /** Workers that are alive; fewer than `workers` while one is being replaced. */
  alive: number
  /** Workers that died and were replaced, since the start. */
  replaced: number
}

export interface EnginePool {
  /** The engine in use, such as `onnx`. */
  engine: string
  size: number
  /** Loads a graph in every worker. Rejects like Engine.load. */
  load(source: GraphSource): Promise<PooledGraph>
  /** Opens a plan's graph in the calling thread, where its calls may cost less than their hand-over; or why it isn't small. */
  openSmall?(plan: CompiledPlan): Promise<SmallGraph | string>
  stats(): EnginePoolStats
  /** Ends the workers, once they have answered their calls. Idempotent. */
  close(): Promise<void>
}

export interface EnginePoolOptions {
  engine: EngineChoice
  /** Worker threads. */
  workers: number
  /** Reports that a worker died, and why. */
  onWorkerLost?(reason: string): void
  /** Reports that a replacement could not load a graph, and why; the other workers still serve it. */
  onReloadFailed?(source: GraphSource, error: unknown): void
  /** Creates a worker; replaceable in tests. */
  createWorker?(settings: WorkerSettings): WorkerClient
}
