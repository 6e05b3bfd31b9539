import type { GraphFormat } from '../../schemas/manifest.ts'
import type { CatalogueStats, ReadyCatalogue } from './catalogue.ts'
import type { CompiledPlan } from './compiled-plan.ts'
import type { Overlay } from './live-tables.ts'

/** Row-major tensor data of one input: [rows, width]. */
export type TensorData = Int32Array | Float32Array

/** Inputs of one call, by the graph's own names; every array holds `rows` rows. */
export interface Batch {
  rows: number
  /** Rows of each request, in order; undefined for a single request. */
  requests?: readonly number[]
  /** Whose requests they are, in order; undefined for a tenant without limit, or where none has one. */
  tenants?: readonly (Tenant | undefined)[] | undefined
  /** Whether all rows of a request are known to have the same context, in order; other contexts are compared. */
  alike?: readonly (boolean | undefined)[] | undefined
  readonly inputs: Record<string, TensorData>
  /** Location of the rows, in order, if they are in shared memory. */
  shared?: readonly SharedPart[]
}

/** Outputs of one call, by name, row-major [rows, width]. */
export type Outputs = Record<string, Float32Array>

/** Receives the progress of an engine call. */
export interface CallListener {
  /** The engine has begun the call; no other call is ahead of it. */
  begun?(): void
  /** Seconds that the engine computed, without the hand-over and without earlier calls. */
  took?(seconds: number): void
}

export interface Signature {
  inputs: { name: string; dtype: 'int32' | 'float32'; width: number }[]
  outputs: { name: string; width: number }[]
  /** The engine that computes the graph, if it is not the requested one. */
  engine?: string
  /** Why the source's catalogue is not used. */
  catalogueProblem?: string
}

/**
 * Tensors of a graph that callers see as one, with their columns in this order. The key is its name to callers, which
 * no tensor of the graph has.
 */
export interface JoinedTensors {
  inputs: Record<string, JoinedInput>
  /** `sigmoid` applies to the concatenated tensors. */
  outputs: Record<string, { sigmoid: boolean; tensors: string[] }>
}

/** An input [rows, columns] that is several tensors of the graph. */
export interface JoinedInput {
  dtype: 'int32' | 'float32'
  /** Tensors that take these columns in order, as many each as its width. Default: all columns. */
  tensors: string[]
  columns?: number[]
  /** Tensors of fields; the width is that of all columns. */
  fields?: { width: number; tensors: FieldTensor[] }
}

/** A tensor that is made of columns `first` to `first + width − 1`. */
export interface FieldTensor {
  tensor: string
  first: number
  width: number
  /** Their values; whether each is no padding; or how many are none. */
  is: 'values' | 'mask' | 'lengths'
  /** The value of a place that holds none, where they are a list's. */
  padding?: number
}

/** A saved graph on disk. */
export interface GraphSource {
  /** Absolute path of the version's folder. */
  folder: string
  format: GraphFormat
  /** Path of the graph's main file, relative to `folder`. */
  file: string
  /** Signature of a SavedModel; default: `serving_default`, else `serve`, else the only one. */
  signature?: string
  /** Tensors that callers see as one. */
  joined?: JoinedTensors
  /** Every output that may be requested: names of layers in a layers model, otherwise of the graph's outputs. */
  outputs: string[]
  /** Its compiled plan, for engines that can run it: a faster way to compute one of the outputs. */
  plan?: CompiledPlan
  /** Memory of the candidate cache in each worker, bytes; 0 disables the cache. */
  cacheBytes?: number
  /** Candidates whose parts need not be computed. */
  catalogue?: ReadyCatalogue
}

/**
 * Bytes that a loaded graph keeps, beside its cache; by the sizes of its files, so that what an engine adds is not in
 * them.
 */
export interface GraphMemory {
  /** Bytes of the graph as it was saved, where it is open; in each worker. */
  weights: number
  /** Bytes of the compiled plan's graphs that are open; in each worker. */
  variants: number
  /** Bytes of large tables, which are mapped: workers share them, and the system pages them. */
  tables: number
}

/** Rows that a loaded graph has computed, by variant; its cache, and its memory. */
export interface GraphStats {
  /** Rows computed, by variant. */
  rows: { exported: number; full: number; shared_context: number; cached: number }
  /** The candidate cache. */
  cache: { hits: number; misses: number; entries: number; evictions: number; bytes: number }
  memory: GraphMemory
  /** Where a catalogue is open. */
  catalogue?: CatalogueStats
}

/**
 * A graph ready to run. `run` is not called again before the last call has settled.
 */
export interface LoadedGraph {
  signature: Signature
  /**
   * Computes the `wanted` outputs, a subset of the signature's. Rejects if the graph throws; the graph stays usable.
   */
  run(batch: Batch, wanted: string[]): Promise<Outputs>
  /**
   * Plans with live tables: replaces rows of them, for the calls from now on. Throws, and changes nothing, where memory
   * is missing.
   */
  setOverlay?(overlay: Overlay): void
  /** If the engine counts. */
  stats?(): GraphStats
  /** Clears counters and cache: after warm-up, before the first request. */
  reset?(): void
  /** Clears counters alone. */
  recount?(): void
  /** Frees the graph's memory; idempotent. */
  close(): Promise<void>
}

/**
 * Computes graphs. All engines compute the same outputs from the same inputs.
 *
 * `load`, never the first request, rejects with ModelError: UNSUPPORTED_GRAPH, naming the layer or node, for a graph
 * that the engine cannot run, and INVALID_BUNDLE, naming the file, for one that cannot be read.
 */
export interface Engine {
  /** Display name: `onnx`, `tensorflow (native)`, `tensorflow (wasm)`, `tensorflow (cpu)`. */
  name: string
  /**
   * Takes a turn for each part of the work that keeps its thread, where it can be done in parts; default: immediately.
   */
  load(source: GraphSource, takeTurn?: TakeTurn): Promise<LoadedGraph>
}

/** Runs work once the calls that were asked for before have been computed; they never run at the same time. */
export type TakeTurn = <T>(work: () => Promise<T>) => Promise<T>

/*
 * Memory shared by threads: requests are encoded directly into it and workers read them there, without copies,
 * allocation or garbage collection. The engine does not accept shared arrays, so each worker copies the rows of a call
 * once, into arrays that it reuses.
 */

/** A block of shared memory for `rows` rows: all inputs one after the other, each [rows, width]. */
export interface Slab {
  id: number
  rows: number
  buffer: SharedArrayBuffer
}

/** Rows `start` … `start + count` of a slab. */
export interface SharedPart {
  slab: number
  start: number
  count: number
}

/** A request's rows in shared memory. */
export interface RowBlock {
  /** Row-major arrays of all rows of the block, by the graph's input names. */
  inputs: Record<string, TensorData>
  part: SharedPart
  /** Returns the memory, which must not be read or written afterwards. */
  release(): void
}

export const noCache: GraphStats['cache'] = { hits: 0, misses: 0, entries: 0, evictions: 0, bytes: 0 }

export const noMemory: GraphMemory = { weights: 0, variants: 0, tables: 0 }

export function addStats(a: GraphStats, b: GraphStats): GraphStats {
  const add = <T extends object>(a: T, b: T) =>
    Object.fromEntries(Object.entries(a).map(([key, value]) => [key, value + (b as Record<string, number>)[key]!])) as T
  // Tables are mapped once.
  const memory = { ...add(a.memory, b.memory), tables: Math.max(a.memory.tables, b.memory.tables) }
  const catalogue = addCatalogue(a.catalogue, b.catalogue)
  return { rows: add(a.rows, b.rows), cache: add(a.cache, b.cache), memory, ...(catalogue && { catalogue }) }
}

/** Workers count their hits, and share the files and the index. A worker may be without. */
function addCatalogue(a: CatalogueStats | undefined, b: CatalogueStats | undefined): CatalogueStats | undefined {
  return a && b ? { ...a, hits: a.hits + b.hits } : (a ?? b)
}

/**
 * Whose request it is: tenants take turns in a model's queue, and their shares of what they use together are limited.
 */
export interface Tenant {
  /** The id of the key that the request came with. */
  id: string
  /** Largest share of the queue, 0 to 1: of its rows, and of the time that a request may wait. */
  queueShare: number
  /** Largest share of the candidate cache, 0 to 1. */
  cacheShare: number
}
