import type { GraphFormat } from '../../schemas/manifest.ts'
import type { CompiledPlan } from './compiled-plan.ts'
/** Row-major tensor data of one input: [rows, width]. */
export type TensorData = Int32Array | Float32Array

/** Inputs of one call, by the graph's own names; every array holds `rows` rows. */
export interface Batch {
  rows: number
  /** Rows of each request, in order; left out where all rows are one request's. */
  requests?: readonly number[]
  readonly inputs: Record<string, TensorData>
  /** Where the rows are, in order, if they are in memory that the engine's threads share. */
  shared?: readonly SharedPart[]
}

/** Outputs of one call, by name, row-major [rows, width]. */
export type Outputs = Record<string, Float32Array>

/** Hears how a call goes that was handed to an engine. */
export interface CallListener {
  /** The engine turns to it: no other call is before it. */
  begun?(): void
  /** It took the engine so many seconds, without the hand-over and without what was before it. */
  took?(seconds: number): void
}

export interface Signature {
  inputs: { name: string; dtype: 'int32' | 'float32'; width: number }[]
  outputs: { name: string; width: number }[]
  /** What computes it, where that is another engine than the one that was asked. */
  engine?: string
}

/**
 * Tensors of a graph that callers see as one, whose columns are theirs in this order: by the name that callers give it,
 * which no tensor of the graph has.
 */
export interface JoinedTensors {
  inputs: Record<string, { dtype: 'int32' | 'float32'; tensors: string[] }>
  /** With `sigmoid`, of what they hold joined. */
  outputs: Record<string, { sigmoid: boolean; tensors: string[] }>
}

/** A saved graph on disk. */
export interface GraphSource {
  /** Absolute path of the version's folder. */
  folder: string
  format: GraphFormat
  /** Path of the graph's main file, relative to `folder`. */
  file: string
  /** Of a SavedModel; default: `serving_default`, else `serve`, else the only one. */
  signature?: string
  /** Where several tensors are one to the callers. */
  joined?: JoinedTensors
  /** Every output that may be wanted: of a layers model the names of layers, else the graph's output names. */
  outputs: string[]
  /** Its compiled plan, for engines that can run it: answers one of the outputs, for less. */
  plan?: CompiledPlan
  /** Memory for what is kept of candidates, in each worker, bytes; 0 for none. */
  cacheBytes?: number
}

/** What a loaded graph has done, by plan, and what it keeps. */
export interface GraphStats {
  /** Rows computed, by how. */
  rows: { exported: number; full: number; shared_context: number; cached: number }
  /** The cache of candidates: look-ups that found one, and did not, entries, and their bytes. */
  cache: { hits: number; misses: number; entries: number; evictions: number; bytes: number }
}

/**
 * A graph ready to run. One caller at a time per graph: `run` is not called again before it has settled.
 */
export interface LoadedGraph {
  signature: Signature
  /** Computes the `wanted` outputs, a subset of the signature's. Rejects if the graph throws; the graph stays usable. */
  run(batch: Batch, wanted: string[]): Promise<Outputs>
  /** Where the engine counts. */
  stats?(): GraphStats
  /** Forgets what `stats` counts, and what is kept: before the first request, once it has been tried. */
  reset?(): void
  /** Frees what the graph holds; idempotent. */
  close(): Promise<void>
}

/**
 * Computes graphs. Same inputs, same outputs, whatever the engine.
 *
 * `load` rejects with ModelError UNSUPPORTED_GRAPH, naming the layer or node, for a graph that can't run here, and
 * INVALID_BUNDLE, naming the file, for one that can't be read: never at the first request.
 */
export interface Engine {
  /** What computes, for people: `onnx`, `tensorflow (native)`, `tensorflow (wasm)`, `tensorflow (cpu)`. */
  name: string
  load(source: GraphSource): Promise<LoadedGraph>
}

/*
 * Memory that the threads share: requests are encoded straight into it, and a worker reads them there, so that nothing is
 * copied, allocated or collected on the way. The engine takes no shared arrays: each worker copies the rows of a call once,
 * into arrays that it uses again and again.
 */

/** A piece of shared memory with room for so many rows: the inputs one after the other, each [rows, width]. */
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
  /** Row-major arrays by the graph's input names, of all rows of the block. */
  inputs: Record<string, TensorData>
  part: SharedPart
  /** Gives the memory back: nothing may read or write it any more. */
  release(): void
}
