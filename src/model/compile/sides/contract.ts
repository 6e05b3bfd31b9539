import type { LayerParts, PackedInput } from '../../contracts/compiled-plan.ts'
import type { Segment } from '../../graph/columns.ts'
import type { Graph } from '../../graph/graph.ts'
import type { NodeProto } from '../../graph/onnx_pb.ts'

export type Side = 'context' | 'candidate' | 'cross'
/** Per input of the graph the side of each of its columns. */
export type Sides = Record<string, readonly Side[]>
export interface VariantGraph {
  graph: Graph
  /** What belongs to the request: a row for each. */
  context: PackedInput[]
  /** What belongs to each row. */
  rows: PackedInput[]
  /** What took the place of each first layer's output. */
  replaced: Map<FirstLayer, string>
}

/** A graph, its first layer taken apart by side. */
export interface SplitGraphs {
  /** Requests' rows, all computed: context [requests, …], rows [rows, …], `planNames.requests`; if there are context columns. */
  shared_context: VariantGraph | undefined
  /** The candidates' part of the first layer: outputs `planNames.part(…)` [rows, width], one a layer; if there are candidate columns. */
  candidate_encoder: VariantGraph | undefined
  /**
   * The contexts' part: output `planNames.contexts` [requests, …], side by side of all layers that read the context; if there
   * are candidate columns, and such layers.
   */
  context_encoder: VariantGraph | undefined
  /** Rows of which these two parts are known: inputs `planNames.sum(…)` [rows, width], and cross columns; if there are candidate columns. */
  cached: VariantGraph | undefined
  layers: LayerParts[]
}

/** A first product of features: reads nothing but columns of the inputs. */
export interface FirstLayer {
  gemm: NodeProto
  segments: Segment[]
  /** The tensor that a plan computes in another way: the product, or what is made of it at once. */
  output: string
}

/** Products that read the same features. */
export type Group = [FirstLayer, ...FirstLayer[]]
/** Adds to a plan what takes the place of each layer's `output`; answers the names. */
export type Emit = (plan: VariantGraph, group: Group) => string[]
