import type { Manifest } from '../../schemas/manifest.ts'
import type { Clock } from '../base/clock.ts'
import { median } from '../base/median.ts'
import type {
  Batch,
  CallListener,
  GraphSource,
  GraphStats,
  LoadedGraph,
  Outputs,
  RowBlock,
  SharedPart,
} from '../contracts/engine.ts'
import { addStats } from '../contracts/graph-stats.ts'
import type { RowGatherer } from '../engines/memory/shared-rows.ts'
import type { PooledGraph } from '../engines/pool/contract.ts'
import type { Encoder } from '../features/encoder.ts'
import type { RowArrays } from '../features/layout.ts'
import { bindingsOf, plainBatch } from './bindings.ts'
import type { LoadOptions } from './contract.ts'

/** Computes a version's batches: in a worker, or, those that are cheaper than their hand-over, in the calling thread. */
export interface Executor {
  run(batch: Batch, wanted: string[], listener?: CallListener): Promise<Outputs>
  /** Memory for one request's rows, shared with the workers where they can. */
  allocateFor(manifest: Manifest): RequestMemory
  /**
   * Opens the graph in the calling thread if it pays for batches of one row at least. What a call costs is measured in a
   * worker, so that no large graph is opened here.
   */
  openHere(options: LoadOptions, source: GraphSource, manifest: Manifest, encoder: Encoder): Promise<void>
  /** Most rows of a batch that is computed in the calling thread; 0: none is. */
  readonly rowsHere: number
  stats(): Promise<GraphStats | undefined>
  /** Forgets what `stats` counts, and what is kept of candidates. */
  reset(): Promise<void>
  close(): Promise<void>
}

export interface RequestMemory {
  /** Arrays for the rows; undefined where memory is not shared. Called once at most. */
  allocate(rows: number): RowArrays | undefined
  /** What a batch says of its first `rows` rows in this memory. */
  shared(rows: number): { shared?: SharedPart[] }
  /** One more reader, which calls `release` as well. */
  keep(): void
  /** Frees the memory once all of its readers have called it: one, and one for each `keep`. */
  release(): void
}

/** Calls whose hand-over is measured; the median counts. */
const measuredCalls = 15

/** Longest that a call may keep the calling thread, s: more than to hand it over costs that thread would be its loss under load. */
const longestCall = 0.00004

export function createExecutor(graph: PooledGraph): Executor {
  let here: LoadedGraph | undefined
  /** It takes one call at a time. */
  let busy = false
  let rowsHere = 0
  let output = ''
  let gatherer: RowGatherer | undefined

  return {
    async run(batch, wanted, listener) {
      const fits = here && !busy && batch.rows <= rowsHere && wanted.length === 1 && wanted[0] === output
      if (!here || !fits) return graph.run(batch, wanted, listener)
      listener?.begun?.()
      busy = true
      try {
        return await here.run(batch.shared ? gatherer!.gather(batch.shared) : batch, wanted)
      } finally {
        busy = false
      }
    },
    allocateFor(manifest) {
      const { sparse, dense } = bindingsOf(manifest)
      let block: RowBlock | undefined
      let readers = 1
      return {
        allocate(rows) {
          block = graph.allocate?.(rows)
          return (
            block && {
              sparse: (sparse === undefined ? new Int32Array(0) : block.inputs[sparse]) as Int32Array,
              dense: (dense === undefined ? new Float32Array(0) : block.inputs[dense]) as Float32Array,
            }
          )
        },
        shared: (rows) => (block ? { shared: [{ ...block.part, count: rows }] } : {}),
        keep() {
          readers++
        },
        release() {
          readers--
          if (readers === 0) block?.release()
        },
      }
    },
    async openHere({ pool, clock, maxBatchRows, compiler }, source, manifest, encoder) {
      // Where costs are given, they decide alone.
      if (pool.loadHere === undefined || graph.measure === undefined || compiler?.costs !== undefined) return
      // The engine of this thread is the first alone.
      if (graph.signature.engine !== undefined) return
      output = bindingsOf(manifest).probabilities
      const most = await mostRowsHere(
        graph,
        (rows) => plainBatch(manifest, encoder, rows),
        [output],
        maxBatchRows,
        clock,
      )
      if (most === 0) return
      // Computes nothing, but is closed with the others, until it has been warmed.
      here = await pool.loadHere({ ...source, cacheBytes: 0 })
      for (let rows = 1; rows <= most; rows *= 2) await here.run(plainBatch(manifest, encoder, rows), [output])
      gatherer = graph.follow?.()
      rowsHere = most
    },
    get rowsHere() {
      return rowsHere
    },
    async stats() {
      const stats = await graph.stats()
      const own = here?.stats?.()
      return stats && own ? addStats(stats, own) : stats
    },
    async reset() {
      await graph.reset()
      here?.reset?.()
    },
    async close() {
      await graph.close()
      await here?.close()
    },
  }
}

/** Rows of the largest batch that costs less time than its hand-over to a worker; 0 where none does. */
async function mostRowsHere(
  graph: PooledGraph,
  batchOf: (rows: number) => Batch,
  wanted: string[],
  limit: number,
  clock: Clock,
): Promise<number> {
  const seconds: number[] = []
  for (let i = 0; i < measuredCalls; i++) {
    const started = clock.now()
    await graph.run(batchOf(1), wanted)
    seconds.push((clock.now() - started) / 1000)
  }
  const roundTrip = median(seconds)
  const handOver = Math.min(longestCall, roundTrip - (await graph.measure!(batchOf(1), wanted)))
  let most = 0
  for (let rows = 1; rows <= limit; rows *= 2) {
    if ((await graph.measure!(batchOf(rows), wanted)) > handOver) break
    most = rows
  }
  return most
}
