import type { Cost, LayerParts } from '../../contracts/compiled-plan.ts'
import type { Batch } from '../../contracts/engine.ts'
import type { ListLength } from '../../contracts/list-length.ts'
import { planNames } from '../../graph/sides/tensor-names.ts'
import type { Feed, Packer } from './packing.ts'
import type { RowMemory } from './row-memory.ts'

/**
 * Rows of one request, or of several where their contexts make no difference; of cached candidates with their slots.
 */
export interface RequestRows {
  rows: Int32Array
  slots?: Int32Array
}

/** A graph whose calls can be timed. */
export interface TimedVariant {
  /** Columns that it reads of each request's first row, and of every row. */
  context: readonly Column[]
  rows: readonly Column[]
  /** The lists that are cut to their lengths. */
  lists: readonly ListLength[]
  /** Whether requests in one call have contexts of their own. */
  byRequest: boolean
  /** It takes one request per call. */
  oneRequest: boolean
  /** Most rows per call. */
  mostRows: number
  cost: FullCost
  /** Slots of cached candidates that timed calls read in turn, more than a core's cache holds. */
  timedSlots?: number
  /** Each request has the context of its first row. */
  run(batch: Batch, requests: readonly RequestRows[]): Promise<unknown>
}

type Column = Pick<Packer, 'input' | 'width' | 'type'>

/** Outputs of a graph by name. */
export type Results = Record<string, { data: unknown }>

/** A graph of a plan that is open on this thread, as ONNX Runtime or oneDNN computes it. */
export interface GraphSession {
  /** `factors`: of the columns of an input of bytes, see `OpenProgram`. */
  inputs: readonly { name: string; type: string; rank: number; factors?: Float32Array }[]
  /** `feeds`: in the order of `inputs`. Results of oneDNN live until the next call. */
  run(feeds: readonly Feed[]): Promise<Results>
  release(): Promise<void>
}

/** A graph that computes rows of a batch. */
export interface Variant extends TimedVariant {
  context: readonly Packer[]
  rows: readonly Packer[]
  run(batch: Batch, requests: readonly RequestRows[]): Promise<Results>
}

/** A variant whose graph is open on this thread. */
export interface OpenVariant extends Variant {
  session: GraphSession
  /** `sums`: of each layer, of cached candidates. */
  run(batch: Batch, requests: readonly RequestRows[], sums?: readonly Feed[]): Promise<Results>
}
/** A variant's cost, µs, with that of a request which shares its call. */
export type FullCost = Cost & Required<Pick<Cost, 'joined'>> & { short?: LinearCost }

/** A cost without what computes it. */
export type LinearCost = Required<Pick<Cost, 'a' | 'b' | 'joined'>>

/** Adds the contexts' part of each layer to the cached part of the candidate, and computes the rest of the graph. */
export function createCachedVariant(
  contextEncoder: OpenVariant | undefined,
  cached: OpenVariant,
  layers: readonly LayerParts[],
  memory: RowMemory,
): Variant {
  return {
    context: [...(contextEncoder?.context ?? []), ...cached.context],
    rows: cached.rows,
    lists: [...(contextEncoder?.lists ?? []), ...cached.lists],
    byRequest: contextEncoder !== undefined || cached.byRequest,
    oneRequest: cached.oneRequest,
    mostRows: memory.mostRows,
    timedSlots: memory.timedSlots,
    cost: cached.cost,
    async run(batch, requests) {
      const contexts = await contextEncoder?.run(
        batch,
        requests.map(({ rows }) => ({ rows: rows.subarray(0, 1) })),
      )
      const sums = memory.add(
        requests.map(({ slots }) => slots!),
        (contexts?.[planNames.contexts]?.data as Float32Array | undefined) ?? new Float32Array(0),
      )
      const feeds = sums.map((data, layer) => {
        const { width } = layers[layer]!
        return { data, dims: [data.length / width, width] }
      })
      return cached.run(batch, requests, feeds)
    },
  }
}
