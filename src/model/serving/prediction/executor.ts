import { median } from '../../../base/arrays.ts'
import type { Clock } from '../../../base/clock.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type {
  Batch,
  CallListener,
  GraphSource,
  GraphStats,
  Outputs,
  RowBlock,
  SharedPart,
} from '../../contracts/engine.ts'
import type { PooledGraph } from '../../engines/pool/engine-pool.ts'
import type { SmallGraph } from '../../engines/small/small-graph.ts'
import type { Encoder } from '../features/encoder.ts'
import type { RowArrays } from '../features/field-column.ts'
import { bindingsOf, plainBatch } from './bindings.ts'
import type { LoadOptions } from './loaded-model.ts'
import { answersAlike } from './warm-up.ts'

/**
 * Computes a version's batches in the workers, and those that are cheaper than their hand-over in the calling thread.
 */
export interface Executor {
  run(batch: Batch, wanted: string[], listener?: CallListener): Promise<Outputs>
  /** Computes a batch of at most `rowsHere` rows in the calling thread. Throws where the graph does. */
  runHere(batch: Batch): Outputs
  /** Memory for one request's rows, shared with the workers where they can. */
  allocateFor(manifest: Manifest): RequestMemory
  /**
   * Opens a small graph in the calling thread if batches of one row at least pay there. Resolves with the reason where
   * the graph is not one for that thread.
   */
  openHere(options: LoadOptions, source: GraphSource, manifest: Manifest, encoder: Encoder): Promise<string | undefined>
  /** Most rows of a batch that is computed in the calling thread; 0: none is. */
  readonly rowsHere: number
  stats(): Promise<GraphStats | undefined>
  /** Forgets what `stats` counts, and what is kept of candidates. */
  reset(): Promise<void>
  /** Forgets what `stats` counts. */
  recount(): Promise<void>
  close(): Promise<void>
}

export interface RequestMemory {
  /** Arrays for the rows; undefined where memory is not shared. Called once at most. */
  allocate(rows: number): RowArrays | undefined
  /** The part of a batch that describes its first `rows` rows in this memory. */
  shared(rows: number): { shared?: SharedPart[] }
  /** One more reader, which calls `release` as well. */
  keep(): void
  /** Frees the memory once all of its readers have called it: one, and one for each `keep`. */
  release(): void
}

/** Calls that are measured; the median counts. */
const measuredCalls = 15

/** Calls after which V8 has compiled a small graph's steps. */
const warmCalls = 200

/**
 * Longest that a call may keep the calling thread, s: more than to hand it over costs that thread would be its loss
 * under load.
 */
const longestCall = 0.00004

export function createExecutor(graph: PooledGraph): Executor {
  let here: SmallGraph | undefined
  let rowsHere = 0
  let computedHere = 0
  let output = ''

  return {
    run: (batch, wanted, listener) => graph.run(batch, wanted, listener),
    runHere(batch) {
      if (here === undefined) throw new Error('no graph is open in this thread')
      computedHere += batch.rows
      return { [output]: here.run(batch) }
    },
    allocateFor(manifest) {
      const { sparse, dense } = bindingsOf(manifest)
      let block: RowBlock | undefined
      let readers = 1
      return {
        allocate(rows) {
          // Probably computed in this thread; where gates are asked for, too, the rows are copied to a worker.
          if (rows <= rowsHere) return undefined
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
    async openHere({ pool, clock, maxBatchRows, compiler }, { plan }, manifest, encoder) {
      // Where costs are given, they decide alone.
      if (pool.openSmall === undefined || graph.measure === undefined || compiler?.costs !== undefined) return undefined
      // int8 answers differ, and a row's answer depends on no other rows.
      if (plan === undefined || plan.precision !== 'float32') return undefined
      const small = await pool.openSmall(plan)
      if (typeof small === 'string') return small
      if (!(await answersAlike(manifest, encoder, graph, small.run))) return 'its answers would differ'
      output = bindingsOf(manifest).probabilities
      const batchOf = (rows: number) => plainBatch(manifest, encoder, rows)
      for (let i = 0; i < warmCalls; i++) small.run(batchOf(1))
      const seconds = (batch: Batch) => {
        const started = clock.now()
        small.run(batch)
        return (clock.now() - started) / 1000
      }
      const most = Math.min(longestCall, await handOver(graph, batchOf(1), [output], clock))
      for (let rows = 1; rows <= maxBatchRows; rows *= 2) {
        const batch = batchOf(rows)
        if (median(Array.from({ length: measuredCalls }, () => seconds(batch))) > most) break
        rowsHere = rows
      }
      if (rowsHere === 0) return 'a row takes longer than its way to a worker'
      here = small
      return undefined
    },
    get rowsHere() {
      return rowsHere
    },
    async stats() {
      const stats = await graph.stats()
      if (stats === undefined || here === undefined) return stats
      const { rows, memory } = stats
      return {
        ...stats,
        rows: { ...rows, full: rows.full + computedHere },
        memory: { ...memory, variants: memory.variants + here.bytes },
      }
    },
    async reset() {
      await graph.reset()
      computedHere = 0
    },
    async recount() {
      await graph.recount()
      computedHere = 0
    },
    close: () => graph.close(),
  }
}

/** Seconds that it takes to hand a batch to a worker, and its answer back. */
async function handOver(graph: PooledGraph, batch: Batch, wanted: string[], clock: Clock): Promise<number> {
  const seconds: number[] = []
  for (let i = 0; i < measuredCalls; i++) {
    const started = clock.now()
    await graph.run(batch, wanted)
    seconds.push((clock.now() - started) / 1000)
  }
  return median(seconds) - (await graph.measure!(batch, wanted))
}

/** One after the other. */
export async function closeAll(parts: readonly ({ close(): Promise<void> } | undefined)[]): Promise<void> {
  for (const part of parts) await part?.close()
}
