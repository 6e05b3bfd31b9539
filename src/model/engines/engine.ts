/** Row-major tensor data of one input: [rows, width]. */
export type TensorData = Int32Array | Float32Array

/** Inputs of one call, by the graph's own names; every array holds `rows` rows. */
export interface Batch {
  rows: number
  inputs: Record<string, TensorData>
}

/** Outputs of one call, by name, row-major [rows, width]. */
export type Outputs = Record<string, Float32Array>

export interface Signature {
  inputs: { name: string; dtype: 'int32' | 'float32'; width: number }[]
  outputs: { name: string; width: number }[]
}

/** A saved graph on disk. */
export interface GraphSource {
  /** Absolute path of the version's folder. */
  folder: string
  format: 'layers' | 'onnx'
  /** Path of the graph's main file, relative to `folder`. */
  file: string
  /** Every output that may be wanted: of a layers model the names of layers, else the graph's output names. */
  outputs: string[]
}

/**
 * A graph ready to run. One caller at a time per graph: `run` is not called again before it has settled.
 */
export interface LoadedGraph {
  signature: Signature
  /** Computes the `wanted` outputs, a subset of the signature's. Rejects if the graph throws; the graph stays usable. */
  run(batch: Batch, wanted: string[]): Promise<Outputs>
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
