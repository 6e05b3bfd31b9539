import type { Cost } from '../contracts/compiled-plan.ts'
import type { Batch } from '../contracts/engine.ts'
import type { Feed } from './feed.ts'
import type { Packer } from './packing.ts'

/** Rows of one request, or of several where their contexts make no difference; of cached candidates with their slots. */
export interface RequestRows {
  rows: Int32Array
  slots?: Int32Array
}

/** A graph whose calls can be timed. */
export interface TimedVariant {
  /** Columns that it reads of each request's first row, and of every row. */
  context: readonly Column[]
  rows: readonly Column[]
  /** Whether requests in one call have contexts of their own. */
  byRequest: boolean
  /** Most rows per call. */
  mostRows: number
  cost: FullCost
  /** Of cached candidates: slots that timed calls read in turn, more than a core's cache holds. */
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
  /** `feeds`: in the order of `inputs`. What oneDNN answers lives until the next call. */
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
export type FullCost = Cost & Required<Pick<Cost, 'joined'>>
