import type { LayerParts, PackedInput } from '../../contracts/compiled-plan.ts'
import type { Segment } from '../../graph/columns.ts'
import type { Graph } from '../../graph/graph.ts'
import type { NodeProto } from '../../graph/onnx_pb.ts'

export type Side = 'context' | 'candidate' | 'cross'
/** Per input of the graph, the side of each column. */
export type Sides = Record<string, readonly Side[]>
export interface VariantGraph {
  graph: Graph
  /** Inputs of the context: one row per request. */
  context: PackedInput[]
  /** Inputs of each row. */
  rows: PackedInput[]
  /** The replacement of each first layer's output. */
  replaced: Map<FirstLayer, string>
}

/** The variants of a graph whose first layers are split by side. */
export interface SplitGraphs {
  /** Rows of requests: context [requests, …], rows [rows, …], `planNames.requests`; if there are context columns. */
  shared_context: VariantGraph | undefined
  /** First layers of candidates: one output `planNames.part(…)` [rows, width] per layer; if there are candidate columns. */
  candidate_encoder: VariantGraph | undefined
  /**
   * First layers of contexts: output `planNames.contexts` [requests, …], concatenated over all layers that read the context; if
   * there are such layers and candidate columns.
   */
  context_encoder: VariantGraph | undefined
  /** Rows with these two parts given: inputs `planNames.sum(…)` [rows, width], and cross columns; if there are candidate columns. */
  cached: VariantGraph | undefined
  layers: LayerParts[]
}

/** A product of features: it reads only columns of the inputs. */
export interface FirstLayer {
  gemm: NodeProto
  segments: Segment[]
  /** The tensor that a variant computes in another way: the product, or the ReLU after it. */
  output: string
}

/** Products that read the same features. */
export type Group = [FirstLayer, ...FirstLayer[]]
/** Adds replacements of each layer's `output` to a variant; returns their names. */
export type Emit = (plan: VariantGraph, group: Group) => string[]
